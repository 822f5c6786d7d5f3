import Engine

/// What a device does one after another. All calls only ask for it; `wait` waits until it is done.
struct CUDAStream: ~Copyable {
  let handle: CUDAHandle
  let device: CUDADevice

  init(_ device: CUDADevice) throws(BackendError) {
    try device.makeCurrent()
    var stream: CUDAHandle?
    try device.check("cuStreamCreate", device.functions.createStream(&stream, CUDAConstant.nonBlocking))
    guard let stream else { preconditionFailure("a stream that was created is there") }
    (handle, self.device) = (stream, device)
  }

  deinit {
    try? device.makeCurrent()
    _ = device.functions.destroyStream(handle)
  }

  /// Of `bytes` in pinned memory, which may not change before it is done.
  func copy(_ bytes: Int, from host: UnsafeRawPointer, to address: DeviceAddress) throws(BackendError) {
    try device.check(
      "cuMemcpyHtoDAsync", device.functions.copyToDevice(address, host, bytes, handle), "\(bytes) bytes")
  }

  /// Into pinned memory.
  func copy(_ bytes: Int, from address: DeviceAddress, to host: UnsafeMutableRawPointer) throws(BackendError) {
    try device.check("cuMemcpyDtoHAsync", device.functions.copyToHost(host, address, bytes, handle), "\(bytes) bytes")
  }

  func launch(_ launch: CUDALaunch) throws(BackendError) {
    let kernel = launch.kernel
    let status = try launch.withParameters(on: device) { parameters in
      withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer?.self, capacity: 1) { list in
        list.initialize(repeating: parameters)
        return device.functions.launch(
          kernel.function, CUnsignedInt(launch.grid.x), CUnsignedInt(launch.grid.y), CUnsignedInt(launch.grid.z),
          CUnsignedInt(kernel.threads), 1, 1, CUnsignedInt(kernel.sharedBytes), handle, list.baseAddress, nil)
      }
    }
    try device.check("cuLaunchKernel", status, launch.description)
  }

  /// Until everything that was asked for is done. `what`: for an error that only shows here, what that may have been.
  func wait(_ what: @autoclosure () -> String) throws(BackendError) {
    try device.check("cuStreamSynchronize", device.functions.synchronize(handle), what())
  }

  /// What is asked for from here on waits until `event`, of this or of another stream, has come.
  func wait(for event: borrowing CUDAEvent) throws(BackendError) {
    try device.check("cuStreamWaitEvent", device.functions.waitForEvent(handle, event.handle, 0))
  }

  /// Milliseconds that what `body` asks for takes on the device, once what was asked for before is done.
  func time(_ body: (borrowing CUDAStream) throws(BackendError) -> Void) throws(BackendError) -> Double {
    let start = try CUDAEvent(device)
    let end = try CUDAEvent(device)
    try start.record(on: self)
    try body(self)
    try end.record(on: self)
    try wait("a measurement")
    var milliseconds: Float = 0
    try device.check("cuEventElapsedTime", device.functions.elapsed(&milliseconds, start.handle, end.handle))
    return Double(milliseconds)
  }
}

/// A point in a stream's time.
struct CUDAEvent: ~Copyable {
  fileprivate let handle: CUDAHandle
  private let device: CUDADevice

  init(_ device: CUDADevice) throws(BackendError) {
    var event: CUDAHandle?
    try device.check("cuEventCreate", device.functions.createEvent(&event, 0))
    guard let event else { preconditionFailure("an event that was created is there") }
    (handle, self.device) = (event, device)
  }

  deinit {
    try? device.makeCurrent()
    _ = device.functions.destroyEvent(handle)
  }

  /// When `stream` has done all that it has been asked for.
  func record(on stream: borrowing CUDAStream) throws(BackendError) {
    try device.check("cuEventRecord", device.functions.recordEvent(handle, stream.handle))
  }
}

/// Launches that the driver has taken down once, and starts together: one call in the place of hundreds.
struct CUDAGraph: ~Copyable {
  private let handle: CUDAHandle
  private let device: CUDADevice

  /// Of what `body` asks `stream` for, which does not happen now.
  init(
    _ stream: borrowing CUDAStream, _ body: (borrowing CUDAStream) throws(BackendError) -> Void
  ) throws(BackendError) {
    let device = stream.device
    try device.check(
      "cuStreamBeginCapture", device.functions.beginCapture(stream.handle, CUDAConstant.captureThreadLocal))
    var graph: CUDAHandle?
    do {
      try body(stream)
    } catch {
      _ = device.functions.endCapture(stream.handle, &graph)
      if let graph { _ = device.functions.destroyGraph(graph) }
      throw error
    }
    try device.check("cuStreamEndCapture", device.functions.endCapture(stream.handle, &graph))
    var executable: CUDAHandle?
    let status = device.functions.instantiate(&executable, graph, 0)
    _ = device.functions.destroyGraph(graph)
    try device.check("cuGraphInstantiate", status)
    guard let executable else { preconditionFailure("a graph that was instantiated is there") }
    (handle, self.device) = (executable, device)
  }

  deinit {
    try? device.makeCurrent()
    _ = device.functions.destroyExecutableGraph(handle)
  }

  func launch(on stream: borrowing CUDAStream) throws(BackendError) {
    try device.check("cuGraphLaunch", device.functions.launchGraph(handle, stream.handle))
  }
}
