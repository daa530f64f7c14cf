/* Lets a test call the frame functions: commands on standard input, answers on standard output.
 * A command is a letter, its size (uint32, little-endian) and its data; an answer a size and data. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stibium_frame.h"

static uint8_t in[1 << 20], out[1 << 21];

static void answer(size_t size)
{
    uint8_t head[4];

    stibium_put32(head, (uint32_t)size);
    fwrite(head, 1, 4, stdout);
    fwrite(out, 1, size, stdout);
    fflush(stdout);
}

/* Each event: kind, version, type, sequence, payload size, payload. */
static size_t decode(size_t size)
{
    static stibium_receiver receiver;
    stibium_frame frame;
    stibium_event event;
    size_t i, at = 0;

    stibium_receiver_init(&receiver);
    for (i = 0; i < size; i++) {
        memset(&frame, 0, sizeof frame);
        event = stibium_take_byte(&receiver, in[i], &frame);
        if (event == STIBIUM_NOTHING) {
            continue;
        }
        if (event == STIBIUM_DAMAGED) {
            memset(&frame, 0, sizeof frame);
        }
        out[at] = (uint8_t)event;
        out[at + 1] = frame.version;
        out[at + 2] = frame.type;
        stibium_put16(out + at + 3, frame.sequence);
        stibium_put16(out + at + 5, (uint16_t)frame.size);
        if (frame.size > 0) {
            memcpy(out + at + 7, frame.payload, frame.size);
        }
        at += 7 + frame.size;
    }
    return at;
}

int main(void)
{
    uint8_t head[5];
    size_t size;
    long unstuffed;
    uint8_t *copy;

    while (fread(head, 1, 5, stdin) == 5) {
        size = stibium_get32(head + 1);
        if (size > sizeof in || fread(in, 1, size, stdin) != size) {
            return 1;
        }
        switch (head[0]) {
        case 'C':
            stibium_put32(out, stibium_crc32(0, in, size));
            answer(4);
            break;
        case 'S':
            answer(stibium_stuff(in, size, out));
            break;
        case 'U':
            /* Exactly as large as it is, so that a sanitizer sees a byte too far. */
            copy = malloc(size ? size : 1);
            if (copy == NULL) {
                return 1;
            }
            memcpy(copy, in, size);
            unstuffed = stibium_unstuff(copy, size, copy);
            out[0] = unstuffed < 0;
            if (unstuffed > 0) {
                memcpy(out + 1, copy, (size_t)unstuffed);
            }
            free(copy);
            answer(1 + (unstuffed > 0 ? (size_t)unstuffed : 0));
            break;
        case 'E':
            answer(stibium_encode(in[0], stibium_get16(in + 1), in + 3, size - 3, out));
            break;
        case 'D':
            answer(decode(size));
            break;
        default:
            return 1;
        }
    }
    return 0;
}
