package opencl

import (
	"unsafe"
)

// library is the part of the OpenCL 1.2 API that is used. Handles are uintptr,
// because the memory behind them isn't Go's.
type library struct {
	getPlatformIDs       func(size uint32, ids *uintptr, count *uint32) int32
	getDeviceIDs         func(platform uintptr, kind uint64, size uint32, ids *uintptr, count *uint32) int32
	getDeviceInfo        func(device uintptr, name uint32, size uintptr, value unsafe.Pointer, actual *uintptr) int32
	createContext        func(properties uintptr, count uint32, devices *uintptr, notify, user uintptr, status *int32) uintptr
	createCommandQueue   func(context, device uintptr, properties uint64, status *int32) uintptr
	createProgram        func(context uintptr, count uint32, text **byte, lengths *uintptr, status *int32) uintptr
	buildProgram         func(program uintptr, count uint32, devices *uintptr, options *byte, notify, user uintptr) int32
	getProgramBuildInfo  func(program, device uintptr, name uint32, size uintptr, value unsafe.Pointer, actual *uintptr) int32
	createKernel         func(program uintptr, name *byte, status *int32) uintptr
	setKernelArg         func(kernel uintptr, index uint32, size uintptr, value unsafe.Pointer) int32
	createBuffer         func(context uintptr, flags uint64, size uintptr, host unsafe.Pointer, status *int32) uintptr
	enqueueNDRangeKernel func(queue, kernel uintptr, dimensions uint32, offset, global, local *uintptr, waits uint32, wait, event uintptr) int32
	enqueueReadBuffer    func(queue, buffer uintptr, blocking uint32, offset, size uintptr, to unsafe.Pointer, waits uint32, wait, event uintptr) int32
	finish               func(queue uintptr) int32
	releaseMemObject     func(handle uintptr) int32
	releaseKernel        func(handle uintptr) int32
	releaseProgram       func(handle uintptr) int32
	releaseCommandQueue  func(handle uintptr) int32
	releaseContext       func(handle uintptr) int32
}

// symbols are the functions of l by their names in the API.
func (l *library) symbols() map[string]any {
	return map[string]any{
		"clGetPlatformIDs": &l.getPlatformIDs, "clGetDeviceIDs": &l.getDeviceIDs, "clGetDeviceInfo": &l.getDeviceInfo,
		"clCreateContext": &l.createContext, "clCreateCommandQueue": &l.createCommandQueue,
		"clCreateProgramWithSource": &l.createProgram, "clBuildProgram": &l.buildProgram,
		"clGetProgramBuildInfo": &l.getProgramBuildInfo, "clCreateKernel": &l.createKernel,
		"clSetKernelArg": &l.setKernelArg, "clCreateBuffer": &l.createBuffer,
		"clEnqueueNDRangeKernel": &l.enqueueNDRangeKernel, "clEnqueueReadBuffer": &l.enqueueReadBuffer,
		"clFinish": &l.finish, "clReleaseMemObject": &l.releaseMemObject, "clReleaseKernel": &l.releaseKernel,
		"clReleaseProgram": &l.releaseProgram, "clReleaseCommandQueue": &l.releaseCommandQueue,
		"clReleaseContext": &l.releaseContext,
	}
}
