/* A bridge on this computer: the host on standard input and output, a made-up spectrometer behind it.
 * Arguments: bands, milliseconds of a measurement, and words: raw, table, warm, broken, label, long, boot=N. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stibium_bridge.h"

enum { MOST_BANDS = 4096, WARM_MS = 300 };

/* 8 characters of one byte and 18 of two. */
#define LONG_TEXT "Gestein \303\244\303\266\303\274\303\244\303\266\303\274\303\244\303\266\303\274" \
                  "\303\244\303\266\303\274\303\244\303\266\303\274\303\244\303\266\303\274"

static uint8_t values[4 * MOST_BANDS];
static uint16_t bands = 2151;
static uint32_t takes_ms, until_ms, targets;
static bool raw, warm, broken, label, table;
static uint8_t kind;
static volatile sig_atomic_t pressed;

static uint32_t milliseconds(void *context)
{
    struct timespec now;

    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

static size_t room(void *context)
{
    (void)context;
    return STIBIUM_FRAME_BYTES;
}

static void send_bytes(void *context, const uint8_t *data, size_t size)
{
    (void)context;
    while (size > 0) {
        ssize_t written = write(1, data, size);

        if (written <= 0) {
            exit(0);
        }
        data += written;
        size -= (size_t)written;
    }
}

static int start(void *context, uint8_t what, uint16_t scans, uint32_t *expected_ms)
{
    (void)context;
    if (what == STIBIUM_WAVELENGTHS && !table) {
        return STIBIUM_FAULT_UNSUPPORTED;
    }
    if (!raw && (what == STIBIUM_DARK || what == STIBIUM_WHITE)) {
        return STIBIUM_FAULT_UNSUPPORTED;
    }
    if (targets == 12 && what == STIBIUM_TARGET) {
        return STIBIUM_FAULT_NOTHING_LEFT;
    }
    kind = what;
    until_ms = milliseconds(NULL) + takes_ms * scans;
    *expected_ms = takes_ms * scans;
    return 0;
}

static int finish(void *context, stibium_result *result)
{
    uint32_t i;

    (void)context;
    if ((int32_t)(milliseconds(NULL) - until_ms) < 0) {
        return 0;
    }
    if (broken) {
        return -STIBIUM_FAULT_HARDWARE;
    }
    memset(result, 0, sizeof *result);
    for (i = 0; i < bands; i++) {
        float reflectance = 0.2f + 0.1f * (float)i / (float)bands + 0.01f * (float)targets;

        if (kind == STIBIUM_WAVELENGTHS) {
            stibium_put_float(values + 4 * i, 350.0f + (float)i * (1.0f + (float)i / 1000.0f));
        } else if (raw) {
            uint32_t dn = 300;

            if (kind != STIBIUM_DARK) {
                dn += (uint32_t)(20000.0f * (kind == STIBIUM_WHITE ? 1.0f : reflectance));
            }
            stibium_put16(values + 2 * i, (uint16_t)dn);
        } else {
            stibium_put_float(values + 4 * i, reflectance);
        }
    }
    if (kind == STIBIUM_TARGET) {
        targets++;
    }
    result->values = values;
    result->count = bands;
    result->unit = kind == STIBIUM_WAVELENGTHS ? STIBIUM_WAVELENGTH_NM : raw ? STIBIUM_RAW_DN : STIBIUM_REFLECTANCE;
    result->encoding = raw && kind != STIBIUM_WAVELENGTHS ? STIBIUM_UINT16 : STIBIUM_FLOAT32;
    result->simulated = true;
    result->integration_us = 17000;
    result->label = label ? LONG_TEXT : NULL;
    return 1;
}

static int16_t temperature_centi_c(void *context)
{
    (void)context;
    return 2150;
}

static uint8_t state(void *context, uint32_t *remaining_ms)
{
    static uint32_t warm_at_ms;

    (void)context;
    if (warm_at_ms == 0) {
        warm_at_ms = milliseconds(NULL) + WARM_MS;
    }
    if (warm && (int32_t)(warm_at_ms - milliseconds(NULL)) > 0) {
        *remaining_ms = warm_at_ms - milliseconds(NULL);
        return STIBIUM_WARMING_UP;
    }
    return STIBIUM_IDLE;
}

static void on_signal(int number)
{
    (void)number;
    pressed = 1;
}

int main(int argc, char **argv)
{
    static const stibium_hal hal = {NULL, milliseconds, room, send_bytes, start, finish, temperature_centi_c, state};
    static stibium_bridge bridge;
    stibium_identity who = {0, 0, 350.0f, 1.0f, 0, 0, 2, {1000.0f, 1800.0f}, "Bridge", "B-1", "1.0"};
    struct pollfd in = {0, POLLIN, 0};
    struct sigaction action;
    uint8_t data[64];
    ssize_t size;
    int i;

    memset(&action, 0, sizeof action);
    who.boot = (uint32_t)getpid();
    if (argc > 1) {
        bands = (uint16_t)atoi(argv[1]);
    }
    if (argc > 2) {
        takes_ms = (uint32_t)atoi(argv[2]);
    }
    for (i = 3; i < argc; i++) {
        raw = raw || strcmp(argv[i], "raw") == 0;
        table = table || strcmp(argv[i], "table") == 0;
        warm = warm || strcmp(argv[i], "warm") == 0;
        broken = broken || strcmp(argv[i], "broken") == 0;
        label = label || strcmp(argv[i], "label") == 0;
        if (strcmp(argv[i], "long") == 0) {
            who.splices = STIBIUM_MOST_SPLICES;
            who.name = who.serial_number = who.firmware = LONG_TEXT;
        }
        if (strncmp(argv[i], "boot=", 5) == 0) {
            who.boot = (uint32_t)strtoul(argv[i] + 5, NULL, 10);
        }
    }
    who.count = bands;
    if (table) {
        who.step_nm = 0.0f;
    }
    who.features = STIBIUM_FEATURE_VIRTUAL | STIBIUM_FEATURE_SIMULATED | STIBIUM_FEATURE_BUTTON;
    if (raw) {
        who.features |= STIBIUM_FEATURE_RAW_COUNTS | STIBIUM_FEATURE_SHUTTER;
    }
    action.sa_handler = on_signal;
    sigaction(SIGUSR1, &action, NULL);
    stibium_bridge_init(&bridge, &hal, &who);
    for (;;) {
        if (pressed && stibium_bridge_press(&bridge)) {
            pressed = 0;
        }
        stibium_bridge_poll(&bridge);
        if (poll(&in, 1, bridge.run_count > 0 ? 0 : 2) > 0) {
            size = read(0, data, sizeof data);
            if (size <= 0) {
                return 0;
            }
            stibium_bridge_receive(&bridge, data, (size_t)size);
        }
    }
}
