#include "stibium_frame.h"

#include <string.h>

enum { LONGEST_RUN = 254 };

void stibium_put16(uint8_t *out, uint16_t value)
{
    out[0] = (uint8_t)(value & 0xFFu);
    out[1] = (uint8_t)(value >> 8);
}

void stibium_put32(uint8_t *out, uint32_t value)
{
    stibium_put16(out, (uint16_t)(value & 0xFFFFu));
    stibium_put16(out + 2, (uint16_t)(value >> 16));
}

void stibium_put_float(uint8_t *out, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    stibium_put32(out, bits);
}

uint16_t stibium_get16(const uint8_t *data)
{
    return (uint16_t)(data[0] | (uint16_t)(data[1] << 8));
}

uint32_t stibium_get32(const uint8_t *data)
{
    return (uint32_t)stibium_get16(data) | (uint32_t)stibium_get16(data + 2) << 16;
}

uint32_t stibium_crc32(uint32_t crc, const uint8_t *data, size_t size)
{
    size_t i;
    int bit;

    /* Bit by bit: slow and small. Put a table, or the controller's CRC unit, in its place if it is too slow. */
    crc = ~crc;
    for (i = 0; i < size; i++) {
        crc ^= data[i];
        for (bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
        }
    }
    return ~crc;
}

size_t stibium_stuff(const uint8_t *data, size_t size, uint8_t *out)
{
    size_t code_at = 0, at = 1, i;
    uint8_t code = 1;
    bool open = true; /* a block has begun at code_at */

    for (i = 0; i < size; i++) {
        if (!open) {
            code_at = at++;
            code = 1;
            open = true;
        }
        if (data[i] == 0) {
            out[code_at] = code;
            code_at = at++;
            code = 1;
        } else {
            out[at++] = data[i];
            if (++code == LONGEST_RUN + 1) {
                /* A full block stands for no zero. When it ends the data, nothing needs to follow it. */
                out[code_at] = code;
                open = false;
            }
        }
    }
    if (open) {
        out[code_at] = code;
    }
    return at;
}

long stibium_unstuff(const uint8_t *data, size_t size, uint8_t *out)
{
    size_t at = 0, written = 0, block;
    uint8_t code, i;

    if (size == 0) {
        return -1;
    }
    for (block = 0; block < size; block++) {
        if (data[block] == 0) {
            return -1;
        }
    }
    while (at < size) {
        code = data[at++];
        if ((size_t)(code - 1) > size - at) {
            return -1;
        }
        for (i = 1; i < code; i++) {
            out[written++] = data[at++];
        }
        if (code <= LONGEST_RUN && at < size) {
            out[written++] = 0;
        }
    }
    return (long)written;
}

size_t stibium_encode(uint8_t type, uint16_t sequence, const uint8_t *payload, size_t size, uint8_t *out)
{
    uint8_t body[STIBIUM_BODY_BYTES];
    size_t length = STIBIUM_HEADER_BYTES + size;

    if (size > STIBIUM_MAX_PAYLOAD) {
        return 0;
    }
    body[0] = STIBIUM_VERSION;
    body[1] = type;
    stibium_put16(body + 2, sequence);
    stibium_put16(body + 4, (uint16_t)size);
    if (size > 0) {
        memcpy(body + STIBIUM_HEADER_BYTES, payload, size);
    }
    stibium_put32(body + length, stibium_crc32(0, body, length));
    out[0] = 0;
    length = 1 + stibium_stuff(body, length + STIBIUM_CRC_BYTES, out + 1);
    out[length] = 0;
    return length + 1;
}

void stibium_receiver_init(stibium_receiver *receiver)
{
    receiver->size = 0;
    receiver->too_long = false;
}

static stibium_event parse(stibium_receiver *receiver, stibium_frame *frame)
{
    long size = stibium_unstuff(receiver->buffer, receiver->size, receiver->buffer);
    const uint8_t *body = receiver->buffer;
    size_t length;

    if (size < STIBIUM_HEADER_BYTES + STIBIUM_CRC_BYTES) {
        return STIBIUM_DAMAGED;
    }
    length = (size_t)size - STIBIUM_CRC_BYTES;
    if (stibium_crc32(0, body, length) != stibium_get32(body + length)) {
        return STIBIUM_DAMAGED;
    }
    frame->version = body[0];
    frame->type = body[1];
    frame->sequence = stibium_get16(body + 2);
    frame->payload = body + STIBIUM_HEADER_BYTES;
    frame->size = length - STIBIUM_HEADER_BYTES;
    if (frame->version != STIBIUM_VERSION) {
        frame->size = 0;
        return STIBIUM_FOREIGN;
    }
    return stibium_get16(body + 4) == frame->size ? STIBIUM_WHOLE : STIBIUM_DAMAGED;
}

stibium_event stibium_take_byte(stibium_receiver *receiver, uint8_t byte, stibium_frame *frame)
{
    stibium_event event = STIBIUM_NOTHING;

    if (byte != 0) {
        if (receiver->size < sizeof receiver->buffer) {
            receiver->buffer[receiver->size++] = byte;
        } else {
            receiver->too_long = true;
        }
        return STIBIUM_NOTHING;
    }
    if (receiver->too_long) {
        event = STIBIUM_DAMAGED;
    } else if (receiver->size > 0) {
        event = parse(receiver, frame);
    }
    stibium_receiver_init(receiver);
    return event;
}
