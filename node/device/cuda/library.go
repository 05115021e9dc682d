package cuda

import "unsafe"

// library is the part of the CUDA driver API that is used, as of CUDA 9.2. Handles
// and addresses of the device's memory are numbers, because no memory of Go's is behind them.
type library struct {
	initialize        func(flags uint32) int32
	deviceGetCount    func(count *int32) int32
	deviceGet         func(device *int32, ordinal int32) int32
	deviceGetName     func(name *byte, size, device int32) int32
	deviceGetUUID     func(uuid *byte, device int32) int32
	deviceTotalMem    func(bytes *uintptr, device int32) int32
	primaryCtxRetain  func(context *uintptr, device int32) int32
	primaryCtxRelease func(device int32) int32
	ctxPushCurrent    func(context uintptr) int32
	ctxPopCurrent     func(context *uintptr) int32
	ctxSynchronize    func() int32
	moduleLoadDataEx  func(module *uintptr, image *byte, count uint32, options *int32, values *uintptr) int32
	moduleUnload      func(module uintptr) int32
	moduleGetFunction func(function *uintptr, module uintptr, name *byte) int32
	memGetInfo        func(free, total *uintptr) int32
	memAlloc          func(address *uint64, bytes uintptr) int32
	memFree           func(address uint64) int32
	memcpyDtoH        func(to unsafe.Pointer, from uint64, bytes uintptr) int32
	launchKernel      func(function uintptr, gridX, gridY, gridZ, blockX, blockY, blockZ, shared uint32, stream uintptr, params *unsafe.Pointer, extra uintptr) int32
}

// symbols are the functions of l by their names in the library.
func (l *library) symbols() map[string]any {
	return map[string]any{
		"cuInit": &l.initialize, "cuDeviceGetCount": &l.deviceGetCount, "cuDeviceGet": &l.deviceGet,
		"cuDeviceGetName": &l.deviceGetName, "cuDeviceGetUuid": &l.deviceGetUUID, "cuDeviceTotalMem_v2": &l.deviceTotalMem,
		"cuDevicePrimaryCtxRetain": &l.primaryCtxRetain, "cuDevicePrimaryCtxRelease": &l.primaryCtxRelease,
		"cuCtxPushCurrent_v2": &l.ctxPushCurrent, "cuCtxPopCurrent_v2": &l.ctxPopCurrent,
		"cuCtxSynchronize": &l.ctxSynchronize, "cuModuleLoadDataEx": &l.moduleLoadDataEx,
		"cuModuleUnload": &l.moduleUnload, "cuModuleGetFunction": &l.moduleGetFunction,
		"cuMemGetInfo_v2": &l.memGetInfo, "cuMemAlloc_v2": &l.memAlloc, "cuMemFree_v2": &l.memFree,
		"cuMemcpyDtoH_v2": &l.memcpyDtoH, "cuLaunchKernel": &l.launchKernel,
	}
}
