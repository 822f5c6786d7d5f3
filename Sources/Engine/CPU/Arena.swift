import Platform

/// Memory that is given out piece by piece and lives as long as the arena. Pieces are zero, and apart by whole cache lines.
final class Arena {
  private static let chunkBytes = 8 << 20
  private var chunks: [HugeMemory] = []
  private var used = 0

  /// Bytes taken from the system.
  var bytes: Int { chunks.reduce(0) { $0 + $1.bytes } }

  func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
    allocate(count * MemoryLayout<Float>.stride).bindMemory(to: Float.self, capacity: max(count, 1))
  }

  func doubles(_ count: Int) -> UnsafeMutablePointer<Double> {
    allocate(count * MemoryLayout<Double>.stride).bindMemory(to: Double.self, capacity: max(count, 1))
  }

  /// A list of offsets, as the kernels take them.
  func offsets(_ values: [Int]) -> UnsafePointer<Int> {
    let pointer = allocate(values.count * MemoryLayout<Int>.stride).bindMemory(to: Int.self, capacity: values.count)
    pointer.initialize(from: values, count: values.count)
    return UnsafePointer(pointer)
  }

  func activations(_ count: Int, _ precision: Precision) -> Activations {
    Activations(base: allocate(count * precision.size), precision: precision)
  }

  func slabs(_ count: Int, pixels: Int, _ precision: Precision) -> SlabMap {
    SlabMap(base: allocate(count * pixels * ChannelSlabs.lanes * precision.size), pixels: pixels, precision: precision)
  }

  private func allocate(_ bytes: Int) -> UnsafeMutableRawPointer {
    // A line more between pieces keeps readers past a piece's end (the stem's last rows) inside of the chunk.
    let size = (bytes + 127) / 64 * 64
    if let chunk = chunks.last, used + size <= chunk.bytes {
      defer { used += size }
      return chunk.base + used
    }
    let chunk = HugeMemory(bytes: max(size, Self.chunkBytes))
    chunks.append(chunk)
    used = size
    return chunk.base
  }
}
