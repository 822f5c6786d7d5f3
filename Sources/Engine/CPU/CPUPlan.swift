/// The fused plan, and what of it depends on how the CPU's kernels read.
struct CPUPlan {
  typealias Block = FusedPlan.Block

  let precision: Precision
  private let fused: FusedPlan

  init(_ plan: Plan, _ precision: Precision) {
    self.precision = precision
    fused = FusedPlan(plan)
  }

  var stem: Stem { fused.stem }
  var blocks: [Block] { fused.blocks }
  var head: Head { fused.head }

  /// Values of an image with its border of 3, interleaved; some more, because the weight gradient reads depths in eights
  /// and pairs of pixels.
  var paddedImageSize: Int { (stem.image.height + 6) * paddedImagePitch + 8 + 2 * stem.image.channels }
  /// Values of a row of it.
  var paddedImagePitch: Int { (stem.image.width + 6) * stem.image.channels }
  /// Inputs that one row of the stem's kernel sees, in whole words.
  var stemDepth: Int {
    (7 * stem.image.channels + precision.valuesOfWord - 1) / precision.valuesOfWord * precision.valuesOfWord
  }
  /// The same in whole eights, as the weight gradient takes them.
  var weightGradientDepth: Int { (7 * stem.image.channels + 7) / 8 * 8 }

  /// Pixels of a tile where `slabs` slabs of it lie in the cache at once: 224, fewer where floats would not fit into some 400 KB.
  static func tilePixels(slabs: Int) -> Int {
    max(1, min(224, 400_000 / (slabs * ChannelSlabs.lanes * MemoryLayout<Float>.stride)))
  }

  /// The same in whole rows of a map of `width`, at least one.
  static func bandRows(width: Int, slabs: Int) -> Int { max(1, tilePixels(slabs: slabs) / width) }
}

/// A thread's part of something that `parts` threads share.
struct Share {
  let part: Int
  let parts: Int

  static let whole = Share(part: 0, parts: 1)

  func range(_ count: Int) -> Range<Int> { (count * part / parts)..<(count * (part + 1) / parts) }
}

extension Range<Int> {
  /// Its parts of at most `size`, in order and nearly equal.
  @inline(__always)
  func forEachBand(of size: Int, _ body: (Range<Int>) -> Void) {
    let bands = (count + size - 1) / size
    for band in 0..<bands {
      body((lowerBound + count * band / bands)..<(lowerBound + count * (band + 1) / bands))
    }
  }
}
