/// Colours for numbers: matplotlib's *inferno* (Nathaniel J. Smith and Stéfan van der Walt, 2015, CC0), which goes from black over red to
/// light yellow and is as far from colour to colour everywhere, for eyes that tell red from green and those that do not.
enum ColorMap {
  struct Color: Equatable {
    var red: UInt8
    var green: UInt8
    var blue: UInt8
  }

  /// The colour of `value`, 0 … 255.
  static func color(_ value: UInt8) -> Color { colors[Int(value)] }

  /// Every eighth of matplotlib's 256; what is between is linear, and off by 2 at most.
  private static let anchors: [UInt32] = [
    0x000004, 0x040312, 0x0b0724, 0x150b37, 0x210c4a, 0x2f0a5b, 0x3d0965, 0x4a0c6b, 0x57106e, 0x64156e, 0x71196e,
    0x7d1e6d, 0x8a226a, 0x972766, 0xa32c61, 0xb0315b, 0xbc3754, 0xc63d4d, 0xd04545, 0xda4e3c, 0xe35933, 0xeb6429,
    0xf1711f, 0xf67e14, 0xf98c0a, 0xfb9b06, 0xfcaa0f, 0xfbba1f, 0xf9c932, 0xf5d949, 0xf2e865, 0xf3f586, 0xfcffa4,
  ]

  private static let colors: [Color] = (0..<256).map { value in
    // Anchor k stands at round(255 k / 32), a half to the even one, as NumPy's.
    let places = anchors.indices.map { Int((255 * Double($0) / 32).rounded(.toNearestOrEven)) }
    let after = places.firstIndex { $0 >= value } ?? 32
    let before = max(after - 1, 0)
    let span = max(places[after] - places[before], 1)
    func channel(_ shift: UInt32) -> UInt8 {
      let (a, b) = (Int(anchors[before] >> shift & 255), Int(anchors[after] >> shift & 255))
      return UInt8((Double(a) + Double(b - a) * Double(value - places[before]) / Double(span)).rounded())
    }
    return Color(red: channel(16), green: channel(8), blue: channel(0))
  }
}
