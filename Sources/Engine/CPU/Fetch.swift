import CKernels

/// What kernels bring near while they compute (`ck_fetch`).
extension ck_fetch {
  static var none: ck_fetch { ck_fetch() }

  /// `pixels` pixels of `slabs` slabs of a map.
  init(_ map: SlabMap, pixel: Int, pixels: Int, slabs: Int) {
    self.init(
      start: map.at(0, pixel: pixel), lines: pixels * ChannelSlabs.lanes / Self.line, pieces: slabs,
      pitch: map.pixels * ChannelSlabs.lanes)
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
    return ck_fetch(start: start + piece * pitch + range.lowerBound * Self.line, lines: range.count, pieces: 1, pitch: 0)
  }

  /// Floats of a line.
  private static let line = 16
}
