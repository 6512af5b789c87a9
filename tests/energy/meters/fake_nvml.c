/* SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A libnvidia-ml.so.1 without a GPU, for tests. Whatever it says stands in the file that FAKE_NVML names, read
 * anew by each call: lines of a word and a number, such as `energy0 1000` (mJ) for the first GPU, and one line
 * `sample0 PID TIME_US SM_PERCENT` for each sample of a process. What is not in the file is not supported.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK, UNINITIALIZED, INVALID, NOT_SUPPORTED, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };
typedef struct { unsigned pid; unsigned long long time; unsigned sm, mem, enc, dec; } Sample;
typedef struct {
    unsigned field, scope;
    long long time, latency;
    unsigned type, result;
    union { double d; unsigned u; unsigned long long ull; } value;
} Field;

static int initialised;
static int handles[8];

static int number(const char *word, long device, long long *value) {
    char line[256], name[64], found = 0;
    FILE *file = fopen(getenv("FAKE_NVML") ? getenv("FAKE_NVML") : "", "r");
    snprintf(name, sizeof name, device < 0 ? "%s " : "%s%ld ", word, device);
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, name, strlen(name))) found = sscanf(line + strlen(name), "%lld", value) == 1;
    if (file) fclose(file);
    return found;
}

/* What stands in the way of an answer: the driver away, a handle from before, or an error that was asked for. */
static int refusal(void *handle) {
    long long error = 0, starts = 0;
    if (number("driver", -1, &error) && error) initialised = 0;
    if (!initialised) return error ? (int)error : UNINITIALIZED;
    if (!handle) return OK;
    if (*(int *)handle != initialised) return INVALID;
    return number("error", (int *)handle - handles, &starts) ? (int)starts : OK;
}

static int answer(void *handle, const char *word, long long *value) {
    int error = refusal(handle);
    return error ? error : number(word, (int *)handle - handles, value) ? OK : NOT_SUPPORTED;
}

static int starts;
int nvmlInitWithFlags(unsigned flags) {
    long long error = 0;
    (void)flags;
    if (number("driver", -1, &error) && error) return (int)error;
    if (!initialised) initialised = ++starts;
    return OK;
}
int nvmlShutdown(void) { int was = initialised; initialised = 0; return was ? OK : UNINITIALIZED; }
const char *nvmlErrorString(int error) { static char text[32]; snprintf(text, sizeof text, "fake error %d", error); return text; }
int nvmlDeviceGetCount_v2(unsigned *count) {
    long long value = 1;
    number("gpus", -1, &value);
    *count = (unsigned)value;
    return refusal(NULL);
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    *handle = &handles[index];
    handles[index] = initialised;
    return refusal(*handle);
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
    return nvmlDeviceGetHandleByIndex_v2((unsigned)atoi(uuid + strlen("GPU-FAKE-")), handle);
}
int nvmlDeviceGetUUID(void *handle, char *text, unsigned size) {
    snprintf(text, size, "GPU-FAKE-%d", (int)((int *)handle - handles));
    return refusal(handle);
}
int nvmlDeviceGetName(void *handle, char *text, unsigned size) { snprintf(text, size, "FAKE GPU (test)"); return refusal(handle); }
int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *mj) {
    static long long calls;
    long long value = 0, step = 0;
    int error = answer(handle, "energy", &value);
    number("step", (int *)handle - handles, &step);
    *mj = (unsigned long long)(value + step * calls++);
    return error;
}
int nvmlDeviceGetPowerUsage(void *handle, unsigned *mw) {
    long long value = 0;
    int error = answer(handle, "power", &value);
    *mw = (unsigned)value;
    return error;
}
int nvmlDeviceGetFieldValues(void *handle, int count, Field *fields) {
    long long value = 0;
    for (int i = 0; i < count; i++) {
        fields[i].result = fields[i].field == 186 ? (unsigned)answer(handle, "instant", &value) : NOT_SUPPORTED;
        fields[i].type = 1;
        fields[i].value.u = (unsigned)value;
    }
    return refusal(handle);
}
int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
    long long value = 0;
    int error = answer(handle, "mig", &value);
    *current = *pending = (unsigned)value;
    return error;
}
int nvmlDeviceGetUtilizationRates(void *handle, unsigned *rates) {
    long long value = 0;
    int error = answer(handle, "utilisation", &value);
    rates[0] = rates[1] = (unsigned)value;
    return error;
}
int nvmlDeviceGetProcessUtilization(void *handle, Sample *samples, unsigned *count, unsigned long long since) {
    char line[256], format[64];
    long long supported;
    unsigned found = 0, room = samples ? *count : 0;
    int error = answer(handle, "processes", &supported);
    if (error) return error;
    snprintf(format, sizeof format, "sample%d %%u %%llu %%u", (int)((int *)handle - handles));
    FILE *file = fopen(getenv("FAKE_NVML"), "r");
    while (file && fgets(line, sizeof line, file)) {
        Sample one = {0};
        if (sscanf(line, format, &one.pid, &one.time, &one.sm) != 3 || one.time <= since) continue;
        if (found < room) samples[found] = one;
        found++;
    }
    if (file) fclose(file);
    *count = found;
    return !found ? NOT_FOUND : found > room ? INSUFFICIENT_SIZE : OK;
}
