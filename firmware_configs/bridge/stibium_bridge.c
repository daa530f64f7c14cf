#include "stibium_bridge.h"

#include <string.h>

enum {
    IDENTIFY = 0x01,
    ACQUIRE = 0x02,
    RESEND = 0x03,
    ACKNOWLEDGE = 0x04,
    GET_STATUS = 0x05,
    IDENTIFICATION = 0x81,
    SPECTRUM = 0x82,
    VALUES = 0x83,
    STATUS = 0x85,
    FAULT = 0x8F
};
enum { ACQUIRE_BYTES = 9, VALUES_OVERHEAD = 6, LEAST_PAYLOAD = 64, FROM_INSTRUMENT = 0x80 };
enum { LONGEST_NAME = 40, LONGEST_SERIAL_NUMBER = 24, LONGEST_FIRMWARE = 24, LONGEST_LABEL = 40 };

/* --- sending ------------------------------------------------------------------------------------------------- */

static void send_as(stibium_bridge *b, uint8_t type, uint16_t sequence, size_t size)
{
    size_t bytes = stibium_encode(type, sequence, b->payload, size, b->out);

    b->hal->send(b->hal->context, b->out, bytes);
}

static void reply(stibium_bridge *b, uint8_t type, size_t size)
{
    send_as(b, type, b->sequence++, size);
}

/* Appends a text at `at`, cut to `longest` bytes at the end of a character; returns where the next thing goes. A text
 * that leaves no room for the `after` bytes to come is left out. */
static size_t put_text(stibium_bridge *b, size_t at, const char *text, size_t longest, size_t after)
{
    size_t size = text == NULL ? 0 : strlen(text);

    if (size > longest) {
        size = longest;
        while (size > 0 && ((uint8_t)text[size] & 0xC0u) == 0x80u) {
            size--;
        }
    }
    if (at + 1 + size + after > STIBIUM_MAX_PAYLOAD) {
        size = 0;
    }
    b->payload[at] = (uint8_t)size;
    if (size > 0) {
        memcpy(b->payload + at + 1, text, size);
    }
    return at + 1 + size;
}

static void send_identification(stibium_bridge *b)
{
    const stibium_identity *who = b->identity;
    uint8_t splices = who->splices > STIBIUM_MOST_SPLICES ? STIBIUM_MOST_SPLICES : who->splices;
    size_t at = 23;
    uint8_t i;

    stibium_put32(b->payload, who->boot);
    stibium_put16(b->payload + 4, who->features);
    stibium_put_float(b->payload + 6, who->first_nm);
    stibium_put_float(b->payload + 10, who->step_nm);
    stibium_put16(b->payload + 14, who->count);
    stibium_put32(b->payload + 16, who->saturation_dn);
    stibium_put16(b->payload + 20, STIBIUM_MAX_PAYLOAD);
    b->payload[22] = splices;
    for (i = 0; i < splices; i++, at += 4) {
        stibium_put_float(b->payload + at, who->splices_nm[i]);
    }
    at = put_text(b, at, who->name, LONGEST_NAME, 2);
    at = put_text(b, at, who->serial_number, LONGEST_SERIAL_NUMBER, 1);
    at = put_text(b, at, who->firmware, LONGEST_FIRMWARE, 0);
    reply(b, IDENTIFICATION, at);
}

static void send_fault(stibium_bridge *b, int code, uint16_t reply_to, const char *text)
{
    stibium_put16(b->payload, (uint16_t)code);
    stibium_put16(b->payload + 2, reply_to);
    reply(b, FAULT, put_text(b, 4, text, LEAST_PAYLOAD - 5, 0));
}

static void send_status(stibium_bridge *b)
{
    uint32_t now_ms = b->hal->milliseconds(b->hal->context), remaining_ms = 0;
    uint8_t state = STIBIUM_IDLE;

    if (b->measuring) {
        state = STIBIUM_MEASURING;
        if ((int32_t)(b->ready_ms - now_ms) > 0) {
            remaining_ms = b->ready_ms - now_ms;
        }
    } else if (b->hal->state != NULL) {
        state = b->hal->state(b->hal->context, &remaining_ms);
    }
    b->payload[0] = state;
    stibium_put32(b->payload + 1, remaining_ms);
    stibium_put32(b->payload + 5, now_ms - b->started_ms);
    stibium_put16(b->payload + 9, (uint16_t)b->hal->temperature_centi_c(b->hal->context));
    stibium_put32(b->payload + 11, b->held && !b->acknowledged ? b->number : 0);
    reply(b, STATUS, 15);
}

static size_t value_bytes(const stibium_bridge *b)
{
    return b->result.encoding == STIBIUM_UINT16 ? 2u : 4u;
}

static void send_head(stibium_bridge *b)
{
    uint8_t *p = b->payload;
    uint32_t now_ms = b->hal->milliseconds(b->hal->context);

    stibium_put32(p, b->identity->boot);
    stibium_put32(p + 4, b->number);
    stibium_put32(p + 8, b->held_request);
    p[12] = b->held_kind;
    p[13] = b->result.unit;
    p[14] = b->result.encoding;
    p[15] = b->result.simulated ? 1 : 0;
    stibium_put16(p + 16, b->result.saturated);
    stibium_put16(p + 18, b->result.count);
    stibium_put16(p + 20, b->values_per_frame);
    stibium_put32(p + 22, b->values_crc);
    stibium_put16(p + 26, b->held_scans);
    stibium_put32(p + 28, b->result.integration_us);
    stibium_put16(p + 32, b->result.gain);
    stibium_put16(p + 34, (uint16_t)b->hal->temperature_centi_c(b->hal->context));
    stibium_put32(p + 36, now_ms - b->made_ms);
    send_as(b, SPECTRUM, b->first_sequence, put_text(b, 40, b->result.label, LONGEST_LABEL, 0));
}

static void send_piece(stibium_bridge *b, uint16_t index)
{
    size_t size = value_bytes(b), first = (size_t)index * b->values_per_frame;
    size_t count = b->result.count - first;

    if (count > b->values_per_frame) {
        count = b->values_per_frame;
    }
    stibium_put32(b->payload, b->number);
    stibium_put16(b->payload + 4, index);
    memcpy(b->payload + VALUES_OVERHEAD, b->result.values + first * size, count * size);
    send_as(b, VALUES, (uint16_t)(b->first_sequence + 1u + index), VALUES_OVERHEAD + count * size);
}

static void send_run(stibium_bridge *b, uint16_t first, uint16_t count)
{
    b->runs[0].first = first;
    b->runs[0].count = count;
    b->run_count = 1;
}

/* Sends the next frame of what was asked for, and a status after the last one. */
static void go_on_sending(stibium_bridge *b)
{
    stibium_run *run = b->runs;

    if (b->run_count == 0 || b->hal->room(b->hal->context) < STIBIUM_FRAME_BYTES) {
        return;
    }
    if (run->first == 0) {
        send_head(b);
    } else {
        send_piece(b, (uint16_t)(run->first - 1u));
    }
    run->first++;
    if (--run->count == 0) {
        b->run_count--;
        memmove(b->runs, b->runs + 1, b->run_count * sizeof *b->runs);
    }
    if (b->run_count == 0) {
        send_status(b);
        b->remind_ms = b->hal->milliseconds(b->hal->context) + STIBIUM_REMIND_MS;
    }
}

/* --- measuring ----------------------------------------------------------------------------------------------- */

static bool owed_by_button(const stibium_bridge *b)
{
    return b->held && b->held_request == 0 && !b->acknowledged;
}

static int begin(stibium_bridge *b, uint32_t request, uint16_t asked_by, uint8_t kind, uint16_t scans, uint16_t limit)
{
    uint32_t takes_ms = 0;
    int fault = b->hal->start(b->hal->context, kind, scans, &takes_ms);

    if (fault != 0) {
        return fault;
    }
    /* The values of the one before are about to be written over. */
    b->held = false;
    b->run_count = 0;
    b->measuring = true;
    b->request = request;
    b->asked_by = asked_by;
    b->kind = kind;
    b->scans = scans;
    b->payload_limit = limit == 0 || limit > STIBIUM_MAX_PAYLOAD ? STIBIUM_MAX_PAYLOAD : limit;
    if (b->payload_limit < LEAST_PAYLOAD) {
        b->payload_limit = LEAST_PAYLOAD;
    }
    b->ready_ms = b->hal->milliseconds(b->hal->context) + takes_ms;
    return 0;
}

static void finish(stibium_bridge *b)
{
    int done = b->hal->finish(b->hal->context, &b->result);
    uint16_t pieces;

    if (done == 0) {
        return;
    }
    b->measuring = false;
    if (done < 0) {
        send_fault(b, -done, b->asked_by, "the measurement failed");
        return;
    }
    b->number++;
    b->held = true;
    b->acknowledged = false;
    b->held_request = b->request;
    b->held_kind = b->kind;
    b->held_scans = b->scans;
    b->made_ms = b->hal->milliseconds(b->hal->context);
    b->values_crc = stibium_crc32(0, b->result.values, b->result.count * value_bytes(b));
    b->values_per_frame = (uint16_t)((b->payload_limit - VALUES_OVERHEAD) / value_bytes(b));
    pieces = (uint16_t)((b->result.count + b->values_per_frame - 1u) / b->values_per_frame);
    b->frames = (uint16_t)(pieces + 1u);
    b->first_sequence = b->sequence;
    b->sequence = (uint16_t)(b->sequence + b->frames);
    send_run(b, 0, b->frames);
}

bool stibium_bridge_press(stibium_bridge *b)
{
    if (b->measuring || owed_by_button(b)) {
        return false;
    }
    return begin(b, 0, 0, STIBIUM_TARGET, 1, 0) == 0;
}

/* --- what the host asks -------------------------------------------------------------------------------------- */

static void acquire(stibium_bridge *b, const stibium_frame *frame)
{
    uint32_t request = stibium_get32(frame->payload), remaining_ms = 0;
    uint8_t kind = frame->payload[4];
    uint16_t scans = stibium_get16(frame->payload + 5), limit = stibium_get16(frame->payload + 7);
    int fault;

    if (request == 0 || scans == 0) {
        send_fault(b, STIBIUM_FAULT_BAD_PARAMETER, frame->sequence, "request and scans begin at 1");
    } else if (kind > STIBIUM_WAVELENGTHS) {
        send_fault(b, STIBIUM_FAULT_UNSUPPORTED, frame->sequence, "no such kind of measurement");
    } else if (b->measuring && b->request == request) {
        b->asked_by = frame->sequence;
        send_status(b);
    } else if (b->measuring) {
        send_fault(b, STIBIUM_FAULT_BUSY, frame->sequence, "measuring");
    } else if (b->held && b->held_request == request) {
        /* Nothing is measured twice. */
        send_run(b, 0, b->frames);
    } else if (owed_by_button(b)) {
        /* There is memory for one; this one would be lost. */
        send_fault(b, STIBIUM_FAULT_BUSY, frame->sequence, "one of the button is not acknowledged");
        send_run(b, 0, b->frames);
    } else if (b->hal->state != NULL && b->hal->state(b->hal->context, &remaining_ms) == STIBIUM_WARMING_UP) {
        send_status(b);
    } else {
        fault = begin(b, request, frame->sequence, kind, scans, limit);
        if (fault != 0) {
            send_fault(b, fault, frame->sequence, "cannot measure that now");
        } else {
            send_status(b);
        }
    }
}

static void resend(stibium_bridge *b, const stibium_frame *frame)
{
    stibium_run runs[STIBIUM_MOST_RUNS];
    uint8_t count = frame->payload[0], i;

    for (i = 0; i < count; i++) {
        uint16_t sequence = stibium_get16(frame->payload + 1 + 4u * i);

        runs[i].first = (uint16_t)(sequence - b->first_sequence);
        runs[i].count = stibium_get16(frame->payload + 3 + 4u * i);
        if (!b->held || (uint32_t)runs[i].first + runs[i].count > b->frames) {
            send_fault(b, STIBIUM_FAULT_UNKNOWN_SEQUENCE, frame->sequence, "not held");
            return;
        }
    }
    memcpy(b->runs, runs, count * sizeof *runs);
    b->run_count = count;
}

/* Whether the payload is one of its type, as long as it has to be. */
static bool well_formed(const stibium_frame *frame)
{
    uint8_t i;

    switch (frame->type) {
    case IDENTIFY:
    case GET_STATUS:
        return frame->size == 0;
    case ACQUIRE:
        return frame->size == ACQUIRE_BYTES;
    case ACKNOWLEDGE:
        return frame->size == 4 && stibium_get32(frame->payload) != 0;
    case RESEND:
        if (frame->size < 1 || frame->payload[0] < 1 || frame->payload[0] > STIBIUM_MOST_RUNS ||
            frame->size != 1u + 4u * frame->payload[0]) {
            return false;
        }
        for (i = 0; i < frame->payload[0]; i++) {
            if (stibium_get16(frame->payload + 3 + 4u * i) == 0) {
                return false;
            }
        }
        return true;
    default:
        return true;
    }
}

static void answer(stibium_bridge *b, const stibium_frame *frame)
{
    if (!well_formed(frame)) {
        send_fault(b, STIBIUM_FAULT_DAMAGED_FRAME, 0, "no such payload");
        return;
    }
    switch (frame->type) {
    case IDENTIFY:
        b->announced = true;
        send_identification(b);
        if (owed_by_button(b) && b->run_count == 0) {
            send_run(b, 0, 1);
        }
        break;
    case ACQUIRE:
        acquire(b, frame);
        break;
    case RESEND:
        resend(b, frame);
        break;
    case ACKNOWLEDGE:
        if (b->held && stibium_get32(frame->payload) == b->number) {
            b->acknowledged = true;
        }
        break;
    case GET_STATUS:
        send_status(b);
        break;
    default:
        /* What comes from an instrument is our own echo. */
        if (frame->type < FROM_INSTRUMENT) {
            send_fault(b, STIBIUM_FAULT_UNSUPPORTED, frame->sequence, "type unknown");
        }
        break;
    }
}

/* --- what the caller calls ----------------------------------------------------------------------------------- */

void stibium_bridge_init(stibium_bridge *b, const stibium_hal *hal, const stibium_identity *identity)
{
    memset(b, 0, sizeof *b);
    b->hal = hal;
    b->identity = identity;
    b->sequence = (uint16_t)identity->boot;
    b->started_ms = hal->milliseconds(hal->context);
    stibium_receiver_init(&b->receiver);
}

void stibium_bridge_receive(stibium_bridge *b, const uint8_t *data, size_t size)
{
    stibium_frame frame;
    size_t i;

    for (i = 0; i < size; i++) {
        switch (stibium_take_byte(&b->receiver, data[i], &frame)) {
        case STIBIUM_WHOLE:
            answer(b, &frame);
            break;
        case STIBIUM_DAMAGED:
            send_fault(b, STIBIUM_FAULT_DAMAGED_FRAME, 0, "damaged");
            break;
        case STIBIUM_FOREIGN:
            send_fault(b, STIBIUM_FAULT_UNSUPPORTED, frame.sequence, "version unknown");
            break;
        case STIBIUM_NOTHING:
            break;
        }
    }
}

void stibium_bridge_poll(stibium_bridge *b)
{
    if (!b->announced) {
        b->announced = true;
        send_identification(b);
    }
    if (b->measuring) {
        finish(b);
    }
    if (owed_by_button(b) && b->run_count == 0 &&
        (int32_t)(b->hal->milliseconds(b->hal->context) - b->remind_ms) >= 0) {
        send_run(b, 0, 1);
    }
    go_on_sending(b);
}
