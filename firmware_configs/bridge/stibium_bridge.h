/* The instrument's side of stibium's serial protocol (docs/serial_protocol.md), as a state machine.
 *
 * Call stibium_bridge_receive with what comes from the host, stibium_bridge_poll as often as you can, and
 * stibium_bridge_press when the button is pressed; all from the same thread, none from an interrupt.
 */
#ifndef STIBIUM_BRIDGE_H
#define STIBIUM_BRIDGE_H

#include "stibium_frame.h"
#include "stibium_hal.h"

enum { STIBIUM_MOST_RUNS = 15, STIBIUM_REMIND_MS = 2000 };

/* Who this is. The texts are UTF-8 of up to 40, 24 and 24 bytes and have to stay where they are. */
typedef struct {
    uint32_t boot; /* another number after each power-up: random, or a counter in non-volatile memory */
    uint16_t features;
    float first_nm;
    float step_nm; /* 0: the host measures STIBIUM_WAVELENGTHS once */
    uint16_t count;
    uint32_t saturation_dn; /* counts from which a detector is saturated; 0 if unknown */
    uint8_t splices;
    float splices_nm[STIBIUM_MOST_SPLICES];
    const char *name;
    const char *serial_number;
    const char *firmware;
} stibium_identity;

typedef struct {
    uint16_t first; /* index of a frame of the held measurement; its head is 0 */
    uint16_t count;
} stibium_run;

typedef struct {
    const stibium_hal *hal;
    const stibium_identity *identity;
    stibium_receiver receiver;
    uint8_t out[STIBIUM_FRAME_BYTES];
    uint8_t payload[STIBIUM_MAX_PAYLOAD];
    uint16_t sequence;
    uint32_t started_ms;
    bool announced;

    /* The measurement that is being made. */
    bool measuring;
    uint32_t request; /* 0: by the button */
    uint16_t asked_by; /* number of the frame that asked */
    uint8_t kind;
    uint16_t scans;
    uint16_t payload_limit;
    uint32_t ready_ms;

    /* The measurement that is held, and what of it is to be sent. */
    bool held;
    bool acknowledged;
    uint32_t number;
    uint32_t held_request;
    uint8_t held_kind;
    uint16_t held_scans;
    uint16_t first_sequence;
    uint16_t values_per_frame;
    uint16_t frames; /* with its head */
    uint32_t values_crc;
    uint32_t made_ms;
    uint32_t remind_ms;
    stibium_result result;
    stibium_run runs[STIBIUM_MOST_RUNS];
    uint8_t run_count;
} stibium_bridge;

/* `hal` and `identity` have to stay where they are. */
void stibium_bridge_init(stibium_bridge *bridge, const stibium_hal *hal, const stibium_identity *identity);

void stibium_bridge_receive(stibium_bridge *bridge, const uint8_t *data, size_t size);

void stibium_bridge_poll(stibium_bridge *bridge);

/* Measure unasked. False if it measures already, or one by the button is not acknowledged yet, or cannot begin. */
bool stibium_bridge_press(stibium_bridge *bridge);

#endif
