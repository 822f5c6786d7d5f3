import Engine

/// Memory on a card, freed with its owner.
struct GaudiMemory: ~Copyable {
  let address: UInt64
  let bytes: Int
  private let device: GaudiDevice

  /// What addresses and sizes are multiples of.
  private static let alignment = 128

  /// For a session of `batch` images. Throws `outOfMemory` where the card has not so much left; with the largest batch that there would be memory for, where
  /// `isWorkspace`: nearly all of that grows with the batch, and nothing is asked for behind it.
  init(
    _ bytes: Int, forBatch batch: Int, on device: GaudiDevice, isWorkspace: Bool = false
  ) throws(BackendError) {
    var address: UInt64 = 0
    let status = device.functions.allocate(device.handle, UInt64(max(bytes, 1)), 0, 0, &address)
    if status != 0 {
      let (free, total) = try device.memory()
      // Released libraries say no more than that it failed (Intel_Gaudi3_Software, ScalMemoryPool::allocateDeviceMemory).
      let isShort = [SynapseConstant.outOfDeviceMemory, SynapseConstant.failedAllocation].contains(status)
      guard isShort || free < bytes + Self.alignment else {
        throw device.synapse.fault("synDeviceMalloc", status, on: device.title, "\(bytes) bytes")
      }
      let share = Double(free) / Double(max(bytes, 1))
      throw .device(
        .gaudi(
          .outOfMemory(
            device: device.title, wanted: bytes, free: free, total: total, batch: batch,
            fitting: isWorkspace ? min(batch - 1, Int(Double(batch) * share)) : nil)))
    }
    (self.address, self.bytes, self.device) = (address, bytes, device)
  }

  deinit { _ = device.functions.free(device.handle, address, 0) }
}

/// Memory of the host that the card reads and writes by itself, freed with its owner.
struct GaudiHostMemory: ~Copyable {
  let pointer: UnsafeMutableRawPointer
  let bytes: Int
  private let device: GaudiDevice

  init(_ bytes: Int, for device: GaudiDevice) throws(BackendError) {
    var pointer: UnsafeMutableRawPointer?
    try device.check(
      "synHostMalloc", device.functions.allocateHost(device.handle, UInt64(max(bytes, 1)), 0, &pointer),
      "\(bytes) bytes of the host's memory")
    guard let pointer else { preconditionFailure("memory that was allocated is there") }
    (self.pointer, self.bytes, self.device) = (pointer, bytes, device)
  }

  var floats: UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: pointer.bindMemory(to: Float.self, capacity: bytes / 4), count: bytes / 4)
  }

  deinit { _ = device.functions.freeHost(device.handle, pointer, 0) }
}

/// What a card does one after another. All calls only ask for it; `wait` waits until it is done.
struct GaudiStream: ~Copyable {
  let handle: SynapseHandle
  let device: GaudiDevice

  init(_ device: GaudiDevice) throws(BackendError) {
    var handle: SynapseHandle?
    try device.check("synStreamCreateGeneric", device.functions.createStream(&handle, device.handle, 0))
    guard let handle else { preconditionFailure("a stream that was created is there") }
    (self.handle, self.device) = (handle, device)
  }

  deinit {
    // A stream that is at work is not destroyed.
    _ = device.functions.synchronize(handle)
    _ = device.functions.destroyStream(handle)
  }

  /// Of `bytes` in memory of the host, which may not change before it is done.
  func copy(_ bytes: Int, from host: UnsafeRawPointer, to address: UInt64) throws(BackendError) {
    try copy(bytes, from: UInt64(UInt(bitPattern: host)), to: address, SynapseConstant.hostToDevice)
  }

  /// Into memory of the host.
  func copy(_ bytes: Int, from address: UInt64, to host: UnsafeMutableRawPointer) throws(BackendError) {
    try copy(bytes, from: address, to: UInt64(UInt(bitPattern: host)), SynapseConstant.deviceToHost)
  }

  private func copy(_ bytes: Int, from: UInt64, to: UInt64, _ direction: CInt) throws(BackendError) {
    try device.check(
      "synMemCopyAsync", device.functions.copy(handle, from, UInt64(bytes), to, direction), "\(bytes) bytes")
  }

  /// `count` words become zero.
  func clear(_ count: Int, at address: UInt64) throws(BackendError) {
    try device.check(
      "synMemsetD32Async", device.functions.setWords(address, 0, UInt64(count), handle), "\(4 * count) bytes")
  }

  /// Until everything that was asked for is done. `what`: for an error that only shows here, what that may have been.
  func wait(_ what: @autoclosure () -> String) throws(BackendError) {
    try device.check("synStreamSynchronize", device.functions.synchronize(handle), what())
  }

  /// What is asked for from here on waits until `event`, of this or of another stream, has come.
  func wait(for event: borrowing GaudiEvent) throws(BackendError) {
    try device.check("synStreamWaitEvent", device.functions.waitForEvent(handle, event.handle, 0))
  }
}

/// A point in a stream's time.
struct GaudiEvent: ~Copyable {
  fileprivate let handle: SynapseHandle
  private let device: GaudiDevice

  init(_ device: GaudiDevice) throws(BackendError) {
    var handle: SynapseHandle?
    try device.check("synEventCreate", device.functions.createEvent(&handle, device.handle, 0))
    guard let handle else { preconditionFailure("an event that was created is there") }
    (self.handle, self.device) = (handle, device)
  }

  deinit { _ = device.functions.destroyEvent(handle) }

  /// When `stream` has done all that it has been asked for.
  func record(on stream: borrowing GaudiStream) throws(BackendError) {
    try device.check("synEventRecord", device.functions.recordEvent(handle, stream.handle))
  }
}
