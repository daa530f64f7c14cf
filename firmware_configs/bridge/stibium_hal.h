/* What a bridge needs of the microcontroller and of the spectrometer behind it: the part that you write. */
#ifndef STIBIUM_HAL_H
#define STIBIUM_HAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is to be measured. */
enum { STIBIUM_TARGET = 0, STIBIUM_WHITE = 1, STIBIUM_DARK = 2, STIBIUM_WAVELENGTHS = 3 };
/* What the values are. */
enum { STIBIUM_RAW_DN = 0, STIBIUM_REFLECTANCE = 1, STIBIUM_WAVELENGTH_NM = 2 };
/* How a value is stored, little-endian. */
enum { STIBIUM_FLOAT32 = 0, STIBIUM_UINT16 = 1, STIBIUM_UINT32 = 2 };
/* What the instrument is doing. */
enum { STIBIUM_IDLE = 0, STIBIUM_MEASURING = 1, STIBIUM_WARMING_UP = 2, STIBIUM_FAULTY = 3 };
/* Why something is not done. */
enum {
    STIBIUM_FAULT_DAMAGED_FRAME = 1,
    STIBIUM_FAULT_UNSUPPORTED = 2,
    STIBIUM_FAULT_BAD_PARAMETER = 3,
    STIBIUM_FAULT_BUSY = 4,
    STIBIUM_FAULT_HARDWARE = 5,
    STIBIUM_FAULT_UNKNOWN_SEQUENCE = 6,
    STIBIUM_FAULT_NOTHING_LEFT = 7
};
/* What the instrument is and can do; features of the identification. */
enum {
    STIBIUM_FEATURE_RAW_COUNTS = 1,
    STIBIUM_FEATURE_SHUTTER = 2,
    STIBIUM_FEATURE_DARK_SUBTRACTED = 4,
    STIBIUM_FEATURE_BUTTON = 8,
    STIBIUM_FEATURE_SIMULATED = 16,
    STIBIUM_FEATURE_VIRTUAL = 32
};
enum { STIBIUM_NO_TEMPERATURE = -32768, STIBIUM_MOST_SPLICES = 8 };

/* A measurement that is done. Its values stay where they are, unchanged, until `start` is called again. */
typedef struct {
    const uint8_t *values; /* `count` values as `encoding` says, little-endian */
    uint16_t count;
    uint8_t unit;
    uint8_t encoding;
    bool simulated;
    uint16_t saturated; /* a bit for each detector, the one of the shortest wavelengths is 1 */
    uint32_t integration_us;
    uint16_t gain;
    const char *label; /* up to 40 bytes of UTF-8; NULL for none */
} stibium_result;

typedef struct {
    void *context; /* handed to each function */

    /* A clock that counts up, and over from 4294967295 to 0. */
    uint32_t (*milliseconds)(void *context);

    /* Bytes that `send` would take now without waiting. */
    size_t (*room)(void *context);

    /* Send all of it, waiting if need be. A frame of values is sent only when there is room for it. */
    void (*send)(void *context, const uint8_t *data, size_t size);

    /* Begin to measure. Returns 0 and about how long it will take, or a fault code. */
    int (*start)(void *context, uint8_t kind, uint16_t scans, uint32_t *takes_ms);

    /* Returns 0 while it measures, 1 when `result` is filled, or minus a fault code. */
    int (*finish)(void *context, stibium_result *result);

    /* Hundredths of a degree Celsius, or STIBIUM_NO_TEMPERATURE. */
    int16_t (*temperature_centi_c)(void *context);

    /* STIBIUM_IDLE, STIBIUM_WARMING_UP with the time left, or STIBIUM_FAULTY. NULL if it is always idle. */
    uint8_t (*state)(void *context, uint32_t *remaining_ms);
} stibium_hal;

#endif
