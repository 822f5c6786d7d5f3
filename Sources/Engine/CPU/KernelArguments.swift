import CKernels

/// What kernels bring near while they compute (`ck_fetch`).
extension ck_fetch {
  static var none: ck_fetch { ck_fetch() }

  /// `pieces` pieces of `bytes` bytes, `pitch` bytes apart.
  init(_ start: UnsafeRawPointer, bytes: Int, pieces: Int = 1, pitch: Int = 0) {
    self.init(
      start: start.assumingMemoryBound(to: CChar.self), lines: (bytes + Self.line - 1) / Self.line, pieces: pieces,
      pitch: pitch)
  }

  /// `pixels` pixels of `slabs` slabs of a map.
  init(_ map: SlabMap, pixel: Int, pixels: Int, slabs: Int) {
    self.init(map.at(0, pixel: pixel), bytes: pixels * map.pixelSize, pieces: slabs, pitch: map.pixels * map.pixelSize)
  }

  /// One part of `count`, in whole pieces where there are as many.
  func part(_ part: Int, of count: Int) -> ck_fetch {
    guard let start, pieces > 0, count > 0 else { return .none }
    if count <= pieces {
      let range = Share(part: part, parts: count).range(pieces)
      return ck_fetch(start: start + range.lowerBound * pitch, lines: lines, pieces: range.count, pitch: pitch)
    }
    let perPiece = count / pieces
    let (piece, place) = part.quotientAndRemainder(dividingBy: perPiece)
    guard piece < pieces else { return .none }
    let range = Share(part: place, parts: perPiece).range(lines)
    return ck_fetch(
      start: start + piece * pitch + range.lowerBound * Self.line, lines: range.count, pieces: 1, pitch: 0)
  }

  /// Bytes of a line.
  private static let line = 64
}

extension ck_tile {
  /// `slabs` slabs of a tile of pixels that lie end to end, `segments` apart, through output slab `output` of a 1×1 convolution.
  init(
    pointwise tile: UnsafeRawPointer, _ segments: UnsafePointer<Int>, slabs: Int, weights: Activations,
    output: Int, into out: UnsafeMutableRawPointer, pixels: Int, fetching fetch: ck_fetch = .none
  ) {
    let lanes = ChannelSlabs.lanes
    self.init(
      input: tile, segment: segments, segments: slabs, depth: lanes, stride: lanes, input_pitch: 0,
      weights: weights.at(output * slabs * lanes * lanes), output: out, output_pitch: 0, rows: 1, width: pixels,
      fetch: fetch)
  }
}
