import Engine
import Platform
import Tensors

/// The images that a session works on, and the next, which are brought meanwhile by a stream of their own: NHWC, as bytes where all are bytes.
final class GaudiStaging: StagesImages, @unchecked Sendable {
  let staged: StagedImages<Images>
  private let device: GaudiDevice
  private let stream: GaudiStream
  private let shape: FeatureShape
  private let batch: Int

  /// Memory for a batch of images, and of what their bytes stand for.
  final class Images {
    fileprivate(set) var input = GaudiLowering.Input.gray
    fileprivate let arrived: GaudiEvent
    fileprivate var host: GaudiHostMemory
    fileprivate var memory: GaudiMemory

    fileprivate init(_ device: GaudiDevice, _ shape: FeatureShape, _ batch: Int) throws(BackendError) {
      head = GaudiStaging.head(shape)
      let bytes = head + batch * shape.area
      arrived = try GaudiEvent(device)
      host = try GaudiHostMemory(bytes, for: device)
      memory = try GaudiMemory(bytes, forBatch: batch, on: device)
    }

    /// Where a launch finds them.
    var addresses: [GaudiSection: UInt64] { [.pixels: memory.address, .images: memory.address + UInt64(head)] }
    private let head: Int
  }

  init(_ device: GaudiDevice, shape: FeatureShape, batch: Int) throws(BackendError) {
    (self.device, self.shape, self.batch) = (device, shape, batch)
    stream = try GaudiStream(device)
    staged = StagedImages(try Images(device, shape, batch), shape: shape, batch: batch)
  }

  deinit {
    // What is still on its way reads memory that goes with this.
    try? settle()
  }

  /// On the device.
  var bytes: Int { staged.all.reduce(0) { $0 + $1.memory.bytes } }

  func makeImages() throws(BackendError) -> Images { try Images(device, shape, batch) }
  func settle() throws(BackendError) { try stream.wait("images on their way") }

  /// Bytes in front of the images: scales and shifts of pixels.
  private static func head(_ shape: FeatureShape) -> Int { 2 * GaudiLowering.pixelShift(shape.channels) }

  func fill(_ images: Images, _ batch: ImageBatch) throws(BackendError) {
    let (input, head) = (GaudiLowering.Input(batch), Self.head(shape))
    let size = input.bytes(shape)
    let bytes = head + batch.count * size
    // A launch may read as many as a full batch has.
    let room = head + self.batch * size
    if images.host.bytes < bytes { images.host = try GaudiHostMemory(room, for: device) }
    if images.memory.bytes < room { images.memory = try GaudiMemory(room, forBatch: self.batch, on: device) }
    images.input = input
    let host = images.host.pointer
    host.initializeMemory(as: UInt8.self, repeating: 0, count: head)
    if let tables = batch.tables {
      // (b/255 − mean)/deviation is the line through its ends.
      for (channel, table) in tables.tables.enumerated() {
        let scale = (host + 4 * channel).assumingMemoryBound(to: Float.self)
        let shift = (host + GaudiLowering.pixelShift(shape.channels) + 4 * channel).assumingMemoryBound(to: Float.self)
        (scale.pointee, shift.pointee) = (Float((Double(table[255]) - Double(table[0])) / 255), table[0])
      }
    }
    let target = SharedPointer(host + head)
    let (all, shape) = (batch.images, shape)
    ThreadPool().forEach(all.count) { index in
      all[index].write(input, shape, batch.tables, to: target.pointer + index * size)
    }
    try stream.copy(bytes, from: UnsafeRawPointer(host), to: images.memory.address)
    try images.arrived.record(on: stream)
  }

  /// Makes `batch` what a pass on `stream` works on, until `release`; says how it comes, and where it is.
  func use(
    _ batch: ImageBatch, on stream: borrowing GaudiStream
  ) throws(BackendError) -> (input: GaudiLowering.Input, addresses: [GaudiSection: UInt64]) {
    let taken = try take(batch)
    try stream.wait(for: taken.arrived)
    return (taken.input, taken.addresses)
  }
}

extension GaudiLowering.Input {
  /// How the images of `batch` come: as values where one of them is.
  init(_ batch: ImageBatch) {
    self = .gray
    for image in batch.images {
      switch image {
      case .values:
        self = .values
        return
      case .bytes(let bytes): if bytes.count != batch.shape.area { self = .color }
      case .window(let window): if window.channels != 1 { self = .color }
      }
    }
  }

  /// Of an image.
  func bytes(_ shape: FeatureShape) -> Int {
    switch self {
    case .gray: shape.area
    case .color: shape.count
    case .values: shape.count * MemoryLayout<Float>.size
    }
  }
}

extension ImagePixels {
  /// Writes the image as `input` has it: row, column, channel.
  fileprivate func write(
    _ input: GaudiLowering.Input, _ shape: FeatureShape, _ tables: PixelTables?, to target: UnsafeMutableRawPointer
  ) {
    func interleave<Value: BitwiseCopyable>(_ planes: [Value]) {
      let values = target.assumingMemoryBound(to: Value.self)
      let given = planes.count / shape.area
      for channel in 0..<shape.channels {
        let plane = (given == 1 ? 0 : channel) * shape.area
        for pixel in 0..<shape.area { values[pixel * shape.channels + channel] = planes[plane + pixel] }
      }
    }
    switch (input, self) {
    case (.values, .values(let values)): interleave(values)
    case (.values, _): interleave(tables?.values(self, height: shape.height, width: shape.width) ?? [])
    case (.gray, .bytes(let bytes)):
      bytes.withUnsafeBytes { target.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(target), byteCount: $0.count) }
    case (.gray, .window(let window)): window.copyGray(height: shape.height, width: shape.width, to: target)
    case (.color, .bytes(let bytes)): interleave(bytes)
    case (.color, .window(let window)): interleave(window.cut(height: shape.height, width: shape.width))
    case (.gray, .values), (.color, .values): preconditionFailure("values among bytes")
    }
  }
}

extension ImageWindow {
  fileprivate func copyGray(height: Int, width: Int, to target: UnsafeMutableRawPointer) {
    precondition(top + height <= self.height && left + width <= self.width, "the part leaves the image")
    let rows = target.assumingMemoryBound(to: UInt8.self)
    bytes.withUnsafeBufferPointer { bytes in
      for row in 0..<height {
        let start = (top + row) * self.width + left
        let line = UnsafeMutableBufferPointer(start: rows + row * width, count: width)
        let source = bytes[start..<start + width]
        _ = isMirrored ? line.update(fromContentsOf: source.reversed()) : line.update(fromContentsOf: source)
      }
    }
  }
}
