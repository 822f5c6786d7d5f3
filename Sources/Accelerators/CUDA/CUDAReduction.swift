import CCUDAKernels
import Engine

/// The sums of gradients and the means of running statistics over several GPUs, in buckets, each as soon as the way back has made it.
///
/// Every process asks NCCL for the same sums in the same order, whether it has had images or not.
final class CUDAReduction {
  /// `[first, end)` of the flat gradients, in the order in which the way back completes them: from the last to the first.
  let buckets: [Range<Int>]
  private let device: CUDADevice
  private let communicator: NCCLCommunicator
  /// Beside the session's: sums run while the way back goes on.
  private let stream: CUDAStream
  /// When each bucket's gradients are there, and when all is summed.
  private let completed: [Event]
  private let summed: CUDAEvent
  /// Buckets whose sums have been asked for since the last `finish`.
  private var begun = 0

  private final class Event {
    let event: CUDAEvent
    init(_ device: CUDADevice) throws(BackendError) { event = try CUDAEvent(device) }
  }

  /// `buckets`: as `CUDANetwork.buckets`.
  init(_ device: CUDADevice, _ collective: any Collective, buckets: [Range<Int>]) throws(BackendError) {
    communicator = try NCCLCommunicator(device, collective)
    self.device = device
    self.buckets = buckets
    stream = try CUDAStream(device)
    var events: [Event] = []
    for _ in buckets { events.append(try Event(device)) }
    completed = events
    summed = try CUDAEvent(device)
  }

  /// Sums gradients that are zero: NCCL makes its connections when it is first asked for something, and here all are there, while in a step one may
  /// have failed that the others would then wait for.
  func connect(_ gradients: DeviceAddress, behind session: borrowing CUDAStream) throws(BackendError) {
    try device.makeCurrent()
    while begun < buckets.count { try begin(gradients, behind: session) }
    begun = 0
    try communicator.wait(for: stream)
  }

  /// `session` has been asked for all of the next bucket, whose gradients are at `gradients`, the first of all of them: sums it when it is there.
  func begin(_ gradients: DeviceAddress, behind session: borrowing CUDAStream) throws(BackendError) {
    let bucket = buckets[begun]
    try completed[begun].event.record(on: session)
    try stream.wait(for: completed[begun].event)
    try communicator.sum(bucket.count, at: gradients + DeviceAddress(4 * bucket.lowerBound), on: stream)
    begun += 1
  }

  /// Sums what has not been, and takes the mean of `count` statistics, behind which is a place for the number of processes that had images. What
  /// `session` is asked for next comes behind it.
  func finish(
    _ gradients: DeviceAddress, statistics: DeviceAddress, count: Int, hasImages: Bool,
    behind session: borrowing CUDAStream
  ) throws(BackendError) {
    try device.makeCurrent()
    while begun < buckets.count { try begin(gradients, behind: session) }
    begun = 0
    if !hasImages {
      try device.check("cuMemsetD8Async", device.functions.setBytes(statistics, 0, 4 * count, stream.handle))
    }
    let part = (hasImages ? Float(1) : 0).bitPattern
    try device.check(
      "cuMemsetD32Async", device.functions.setWords(statistics + DeviceAddress(4 * count), part, 1, stream.handle))
    try communicator.sum(count + 1, at: statistics, on: stream)
    try stream.launch(Self.mean(of: count, at: statistics, device))
    try communicator.wait(for: stream)
    try summed.record(on: stream)
    try session.wait(for: summed)
  }

  /// `count` sums at `address` become means over as many processes as the value behind them says.
  static func mean(of count: Int, at address: DeviceAddress, _ device: CUDADevice) -> CUDALaunch {
    let kernel = device.kernel("mean_over_ranks")
    return CUDALaunch(
      kernel, "mean of running statistics", "\(count) values",
      grid: ((count + kernel.threads - 1) / kernel.threads, 1, 1),
      mean_over_ranks_parameters(values: address, count: Int64(count)))
  }
}
