import Engine

/// Memory on a device, freed with its owner.
struct CUDAMemory: ~Copyable {
  let address: DeviceAddress
  let bytes: Int
  private let device: CUDADevice

  /// nil where the device has not so much left.
  static func allocate(_ bytes: Int, on device: CUDADevice) throws(BackendError) -> CUDAMemory? {
    try device.makeCurrent()
    var address: DeviceAddress = 0
    let status = device.functions.allocate(&address, max(bytes, 1))
    if status == CUDAConstant.outOfMemory { return nil }
    try device.check("cuMemAlloc", status, "\(bytes) bytes")
    return CUDAMemory(address: address, bytes: bytes, device: device)
  }

  deinit {
    try? device.makeCurrent()
    _ = device.functions.free(address)
  }
}

/// Memory of the host that the device reads and writes by itself, freed with its owner.
struct PinnedMemory: ~Copyable {
  let pointer: UnsafeMutableRawPointer
  let bytes: Int
  private let device: CUDADevice

  init(_ bytes: Int, for device: CUDADevice) throws(BackendError) {
    try device.makeCurrent()
    var pointer: UnsafeMutableRawPointer?
    try device.check(
      "cuMemHostAlloc", device.functions.allocateHost(&pointer, max(bytes, 1), 0), "\(bytes) bytes of the host's memory"
    )
    guard let pointer else { preconditionFailure("memory that was allocated is there") }
    (self.pointer, self.bytes, self.device) = (pointer, bytes, device)
  }

  deinit {
    try? device.makeCurrent()
    _ = device.functions.freeHost(pointer)
  }
}
