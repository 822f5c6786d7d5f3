import CCUDAKernels
import Engine
import Platform
import Tensors

/// The images of a batch on their way to a device, through memory that the device reads by itself: bytes as long as they can be, which the
/// stem's kernel turns into what they stand for.
struct CUDAImages: ~Copyable {
  private let device: CUDADevice
  private let shape: FeatureShape
  /// Windows, the table, pixels.
  private var staged: PinnedMemory
  private var memory: CUDAMemory

  /// Where an image's pixels begin: as the device likes to read them.
  private static let alignment = 256

  /// Memory for `batch` gray images of bytes; what takes more is made room for when it comes.
  init(_ device: CUDADevice, shape: FeatureShape, batch: Int) throws(BackendError) {
    let bytes = batch * Self.aligned(shape.area)
    let staged = try PinnedMemory(Self.headBytes(shape, batch) + bytes, for: device)
    let memory = try Self.allocate(bytes, batch: batch, device)
    self.device = device
    self.shape = shape
    self.staged = staged
    self.memory = memory
  }

  /// On the device.
  var bytes: Int { memory.bytes }

  private static func aligned(_ bytes: Int) -> Int { (bytes + alignment - 1) / alignment * alignment }

  private static func headBytes(_ shape: FeatureShape, _ count: Int) -> Int {
    aligned(count * MemoryLayout<image_window>.stride) + aligned(shape.channels * 256 * MemoryLayout<Float>.size)
  }

  /// Throws `outOfMemory` where there is none for the `batch` images that take `bytes`.
  private static func allocate(_ bytes: Int, batch: Int, _ device: CUDADevice) throws(BackendError) -> CUDAMemory {
    if let memory = try CUDAMemory.allocate(bytes, on: device) { return memory }
    let (free, total) = try device.memory()
    throw .device(
      .outOfMemory(
        device: device.title, wanted: bytes, free: free, total: total, batch: batch, fitting: free / (bytes / batch)))
  }

  /// Asks `stream` for the pixels of `batch`, which are in `staged` until that is done.
  mutating func bring(_ batch: ImageBatch, on stream: borrowing CUDAStream) throws(BackendError) {
    let images = batch.images
    var (sources, places, bytes) = ([(image: ImagePixels, place: Int)](), [UnsafeRawPointer: Int](), 0)
    // A place for each array: windows of one image share it. An array stays where it is while the batch is there.
    for image in images {
      image.withBytes { start, count in
        guard places[start] == nil else { return }
        places[start] = bytes
        sources.append((image, bytes))
        bytes += Self.aligned(count)
      }
    }
    let head = Self.headBytes(shape, images.count)
    if staged.bytes < head + bytes { staged = try PinnedMemory(head + bytes, for: device) }
    if memory.bytes < bytes { memory = try Self.allocate(bytes, batch: images.count, device) }

    let window = staged.pointer.bindMemory(to: image_window.self, capacity: images.count)
    for (index, image) in images.enumerated() {
      image.withBytes { start, _ in
        window[index] = self.window(image, at: memory.address + DeviceAddress(places[start, default: 0]))
      }
    }
    let target = SharedPointer(staged.pointer + head)
    let copies = sources
    ThreadPool().forEach(copies.count) { index in
      copies[index].image.withBytes { start, count in
        target.pointer.advanced(by: copies[index].place).copyMemory(from: start, byteCount: count)
      }
    }
    if let tables = batch.tables {
      for (channel, table) in tables.tables.enumerated() {
        table.withUnsafeBytes {
          UnsafeMutableRawBufferPointer(
            start: self.values(images.count) + channel * $0.count, count: $0.count
          ).copyMemory(from: $0)
        }
      }
    }
    try stream.copy(bytes, from: staged.pointer + head, to: memory.address)
  }

  /// Where the table is staged, behind the windows of `count` images.
  private func values(_ count: Int) -> UnsafeMutableRawPointer {
    staged.pointer + Self.aligned(count * MemoryLayout<image_window>.stride)
  }

  /// Asks `stream` for the windows of the images of `batch`, whose pixels have been brought, and for what their bytes stand for.
  func describe(
    _ batch: ImageBatch, windows: DeviceAddress, table: DeviceAddress, on stream: borrowing CUDAStream
  ) throws(BackendError) {
    try stream.copy(batch.count * MemoryLayout<image_window>.stride, from: staged.pointer, to: windows)
    guard let tables = batch.tables else { return }
    try stream.copy(tables.channels * 256 * MemoryLayout<Float>.size, from: values(batch.count), to: table)
  }

  /// How the kernel finds the pixels of `image`, whose array is at `address`.
  private func window(_ image: ImagePixels, at address: DeviceAddress) -> image_window {
    func whole(_ kind: Int) -> image_window {
      image_window(
        pixels: address, plane: Int64(shape.area), kind: Int32(kind), pitch: Int32(shape.width), top: 0, left: 0,
        mirrored: 0, unused: 0)
    }
    switch image {
    case .bytes(let bytes): return whole(bytes.count == shape.area ? IMAGE_GRAY_BYTES : IMAGE_PLANAR_BYTES)
    case .values: return whole(IMAGE_PLANAR_FLOATS)
    case .window(let window):
      return image_window(
        pixels: address, plane: Int64(window.width * window.height),
        kind: Int32(window.channels == 1 ? IMAGE_GRAY_BYTES : IMAGE_PLANAR_BYTES),
        pitch: Int32(window.width), top: Int32(window.top), left: Int32(window.left),
        mirrored: window.isMirrored ? 1 : 0, unused: 0)
    }
  }
}

extension ImagePixels {
  fileprivate func withBytes(_ body: (UnsafeRawPointer, Int) -> Void) {
    func pass(_ buffer: UnsafeRawBufferPointer) {
      if let start = buffer.baseAddress { body(start, buffer.count) }
    }
    switch self {
    case .bytes(let bytes): bytes.withUnsafeBytes(pass)
    case .window(let window): window.bytes.withUnsafeBytes(pass)
    case .values(let values): values.withUnsafeBytes(pass)
    }
  }
}
