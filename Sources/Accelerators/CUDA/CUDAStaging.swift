import Engine

/// The images that a session works on, and the next, which are brought meanwhile by a stream of their own.
final class CUDAStaging: StagesImages, @unchecked Sendable {
  let staged: StagedImages<Images>
  private let device: CUDADevice
  private let stream: CUDAStream
  private let shape: FeatureShape
  private let batch: Int

  final class Images {
    var images: CUDAImages
    /// That the images are on the device.
    let arrived: CUDAEvent

    fileprivate init(_ device: CUDADevice, _ shape: FeatureShape, _ batch: Int) throws(BackendError) {
      images = try CUDAImages(device, shape: shape, batch: batch)
      arrived = try CUDAEvent(device)
    }
  }

  init(_ device: CUDADevice, shape: FeatureShape, batch: Int) throws(BackendError) {
    (self.device, self.shape, self.batch) = (device, shape, batch)
    stream = try CUDAStream(device)
    staged = StagedImages(try Images(device, shape, batch), shape: shape, batch: batch)
  }

  deinit {
    // What is still on its way reads memory that goes with this.
    try? settle()
  }

  /// On the device.
  var bytes: Int { staged.all.reduce(0) { $0 + $1.images.bytes } }

  func makeImages() throws(BackendError) -> Images {
    try device.makeCurrent()
    return try Images(device, shape, batch)
  }

  func fill(_ images: Images, _ batch: ImageBatch) throws(BackendError) {
    try device.makeCurrent()
    try images.images.bring(batch, on: stream)
    try images.arrived.record(on: stream)
  }

  func settle() throws(BackendError) {
    try device.makeCurrent()
    try stream.wait("images on their way")
  }

  /// Makes `batch` what a pass on `stream` works on, whose windows and table are at these addresses, until `release`.
  func use(
    _ batch: ImageBatch, windows: DeviceAddress, table: DeviceAddress, on stream: borrowing CUDAStream
  ) throws(BackendError) {
    let taken = try take(batch)
    try stream.wait(for: taken.arrived)
    try taken.images.describe(batch, windows: windows, table: table, on: stream)
  }
}
