// What node/device/nvml asks of NVIDIA's library, answered from the file that
// FAKE_DRIVER names and that a test writes anew while souk runs. It stands in
// for what can't be had where tests run: GPUs that come, fail and go.
//
//	init STATUS                      what starting the library gives; 0 is well
//	driver VERSION
//	gpu STATUS UUID BUS MIB USED_MIB PERCENT SCREEN PID MODEL
//	part UUID MIB MODEL              an instance of the GPU above
//	xid SERIAL NUMBER                happened to the GPU above; told once for each higher SERIAL
#include <nvml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct card {
	int status, whole; // whole: the index of the GPU that it is an instance of, -1 of a GPU
	char uuid[96], model[96];
	unsigned bus, percent, screen, pid, serial, xid;
	unsigned long long mib, used;
};

static struct card cards[16]; // a handle is the address of one
static int many, init;
static unsigned heard;
static char driver[80];

static void look(void) {
	char line[512];
	FILE *f = fopen(getenv("FAKE_DRIVER"), "r");
	if (!f) return;
	many = init = 0;
	for (int gpu = -1; fgets(line, sizeof line, f) && many < 16;) {
		struct card c = {.whole = -1};
		sscanf(line, "init %d", &init);
		sscanf(line, "driver %79s", driver);
		if (gpu >= 0) sscanf(line, "xid %u %u", &cards[gpu].serial, &cards[gpu].xid);
		if (sscanf(line, "gpu %d %95s %x %llu %llu %u %u %u %95[^\n]", &c.status, c.uuid, &c.bus, &c.mib, &c.used, &c.percent, &c.screen, &c.pid, c.model) == 9)
			cards[gpu = many++] = c;
		else if (gpu >= 0 && sscanf(line, "part %95s %llu %95[^\n]", c.uuid, &c.mib, c.model) == 3)
			c.whole = gpu, cards[many++] = c;
	}
	fclose(f);
}

// nth is the n-th GPU, or the n-th instance of one.
static nvmlReturn_t nth(int whole, unsigned n, nvmlDevice_t *out) {
	look();
	for (int i = 0; i < many; i++)
		if (cards[i].whole == whole && n-- == 0) {
			out->handle = (void *)&cards[i];
			return cards[i].status;
		}
	return NVML_ERROR_NOT_FOUND;
}

static struct card *card(nvmlDevice_t d) { return (struct card *)d.handle; }

nvmlReturn_t nvmlInit_v2(void) { look(); return init; }
nvmlReturn_t nvmlShutdown(void) { return NVML_SUCCESS; }
const char *nvmlErrorString(nvmlReturn_t r) { return r == NVML_ERROR_GPU_IS_LOST ? "GPU is lost" : "the fake driver's error"; }
nvmlReturn_t nvmlSystemGetDriverVersion(char *s, unsigned n) { look(); snprintf(s, n, "%s", driver); return NVML_SUCCESS; }
nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *v) { *v = 12080; return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned i, nvmlDevice_t *d) { return nth(-1, i, d); }
nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t d, unsigned i, nvmlDevice_t *out) { return nth(card(d) - cards, i, out); }
nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *n) {
	look();
	*n = 0;
	for (int i = 0; i < many; i++) *n += cards[i].whole < 0;
	return NVML_SUCCESS;
}

// OF begins a function that asks a card; a lost one answers nothing.
#define OF(name, ...) nvmlReturn_t nvmlDevice##name(nvmlDevice_t d, __VA_ARGS__) { \
	struct card *c = card(d); look(); if (c->status) return c->status;
#define END return NVML_SUCCESS; }

OF(GetUUID, char *s, unsigned n) snprintf(s, n, "%s", c->uuid); END
OF(GetName, char *s, unsigned n) snprintf(s, n, "%s", c->model); END
OF(GetMemoryInfo, nvmlMemory_t *m) m->total = c->mib << 20; m->used = c->used << 20; m->free = m->total - m->used; END
OF(GetPciInfo_v3, nvmlPciInfo_t *p) memset(p, 0, sizeof *p); p->bus = c->bus; END
OF(GetCudaComputeCapability, int *major, int *minor) *major = 8; *minor = 9; END
OF(GetMaxPcieLinkGeneration, unsigned *v) *v = 4; END
OF(GetMaxPcieLinkWidth, unsigned *v) *v = 16; END
OF(GetEnforcedPowerLimit, unsigned *v) *v = 450000; END
OF(GetEccMode, nvmlEnableState_t *now, nvmlEnableState_t *next) *now = *next = 0; END
OF(GetMinorNumber, unsigned *v) *v = c - cards; END
OF(GetDisplayActive, nvmlEnableState_t *v) *v = c->screen; END
OF(GetDisplayMode, nvmlEnableState_t *v) *v = c->screen; END
OF(GetTotalEccErrors, nvmlMemoryErrorType_t kind, nvmlEccCounterType_t since, unsigned long long *n) *n = 0; END
OF(GetUtilizationRates, nvmlUtilization_t *u) u->gpu = c->percent; u->memory = 0; END
OF(GetPowerUsage, unsigned *v) *v = 60000; END
OF(GetTemperature, nvmlTemperatureSensors_t sensor, unsigned *v) *v = 40; END
OF(GetMaxMigDeviceCount, unsigned *n) *n = 7; END
OF(GetMigMode, unsigned *now, unsigned *next)
	*now = 0;
	for (int i = 0; i < many; i++) *now |= cards[i].whole == c - cards;
	*next = *now;
END
OF(GetGraphicsRunningProcesses_v3, unsigned *n, nvmlProcessInfo_t *p) *n = 0; END
OF(GetComputeRunningProcesses_v3, unsigned *n, nvmlProcessInfo_t *p)
	int room = *n > 0;
	*n = c->pid != 0;
	if (*n && !room) return NVML_ERROR_INSUFFICIENT_SIZE;
	if (*n) memset(p, 0, sizeof *p), p->pid = c->pid, p->usedGpuMemory = c->used << 20;
END
OF(RegisterEvents, unsigned long long kinds, nvmlEventSet_t set) END

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set) { return NVML_SUCCESS; }
nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set) { // what was before isn't told
	look();
	set->handle = (void *)&heard;
	for (int i = 0; i < many; i++)
		if (cards[i].serial > heard) heard = cards[i].serial;
	return NVML_SUCCESS;
}
nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *e, unsigned ms) {
	look();
	for (int i = 0; i < many; i++)
		if (cards[i].serial > heard) {
			heard = cards[i].serial;
			*e = (nvmlEventData_t){{(void *)&cards[i]}, nvmlEventTypeXidCriticalError, cards[i].xid, ~0u, ~0u};
			return NVML_SUCCESS;
		}
	return NVML_ERROR_TIMEOUT;
}
