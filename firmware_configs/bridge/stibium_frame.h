/* Frames of stibium's serial protocol, version 1 (docs/serial_protocol.md): CRC-32, COBS, header.
 *
 * Plain C99; no allocation; of the C library only memcpy and its like. Works on any byte order.
 */
#ifndef STIBIUM_FRAME_H
#define STIBIUM_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest payload in bytes that this instrument sends or takes: 64 to 1024. It decides how much memory is used. */
#ifndef STIBIUM_MAX_PAYLOAD
#define STIBIUM_MAX_PAYLOAD 200
#endif
#if STIBIUM_MAX_PAYLOAD < 64 || STIBIUM_MAX_PAYLOAD > 1024
#error "STIBIUM_MAX_PAYLOAD has to be 64 to 1024"
#endif

#define STIBIUM_VERSION 1
#define STIBIUM_HEADER_BYTES 6
#define STIBIUM_CRC_BYTES 4
#define STIBIUM_BODY_BYTES (STIBIUM_HEADER_BYTES + STIBIUM_MAX_PAYLOAD + STIBIUM_CRC_BYTES)
#define STIBIUM_STUFFED_BYTES (STIBIUM_BODY_BYTES + STIBIUM_BODY_BYTES / 254 + 1)
/* A whole frame on the wire, with the zero byte on either side. */
#define STIBIUM_FRAME_BYTES (STIBIUM_STUFFED_BYTES + 2)

/* CRC-32 of zlib and Ethernet. Begin with 0; go on with what it returned before. */
uint32_t stibium_crc32(uint32_t crc, const uint8_t *data, size_t size);

/* COBS. `out` has room for size + size / 254 + 1 bytes and does not overlap `data`; returns the bytes written. */
size_t stibium_stuff(const uint8_t *data, size_t size, uint8_t *out);

/* Undo COBS; `out` may be `data`. Returns the bytes written, or -1 if these are no stuffed bytes. */
long stibium_unstuff(const uint8_t *data, size_t size, uint8_t *out);

/* Write one frame, its zero bytes included, to `out` with room for STIBIUM_FRAME_BYTES. Returns the bytes written, or
 * 0 if the payload is longer than STIBIUM_MAX_PAYLOAD. */
size_t stibium_encode(uint8_t type, uint16_t sequence, const uint8_t *payload, size_t size, uint8_t *out);

typedef enum {
    STIBIUM_NOTHING, /* more bytes are needed */
    STIBIUM_WHOLE,   /* a frame of this version */
    STIBIUM_DAMAGED, /* bytes between two zeros that are no frame */
    STIBIUM_FOREIGN  /* a whole frame of another version */
} stibium_event;

typedef struct {
    uint8_t version;
    uint8_t type;
    uint16_t sequence;
    const uint8_t *payload; /* in the receiver's buffer, until its next byte */
    size_t size;
} stibium_frame;

typedef struct {
    uint8_t buffer[STIBIUM_STUFFED_BYTES];
    size_t size;
    bool too_long;
} stibium_receiver;

void stibium_receiver_init(stibium_receiver *receiver);

/* Take one byte; `frame` is filled for STIBIUM_WHOLE and, without payload, for STIBIUM_FOREIGN. */
stibium_event stibium_take_byte(stibium_receiver *receiver, uint8_t byte, stibium_frame *frame);

/* Little-endian numbers. */
void stibium_put16(uint8_t *out, uint16_t value);
void stibium_put32(uint8_t *out, uint32_t value);
void stibium_put_float(uint8_t *out, float value);
uint16_t stibium_get16(const uint8_t *data);
uint32_t stibium_get32(const uint8_t *data);

#endif
