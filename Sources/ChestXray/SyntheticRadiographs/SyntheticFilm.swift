import Platform

/// The film behind a synthetic chest: everything smooth is drawn at a quarter of the image's size, then enlarged, and
/// only grain and marker are drawn pixel by pixel.
struct SyntheticFilm {
  /// Pixels between two points.
  private static let spacing = 4
  private static let side = SyntheticRadiographs.imageSide / spacing

  /// `side` × `side` values, 0 for black and 1 for white.
  private var points: [Float]

  init(of thorax: SyntheticThorax) {
    points = thorax.brightness(side: Self.side)
  }

  /// Adds the texture of the finding of `box` to the film.
  mutating func plant(_ box: SyntheticBox, _ random: inout CounterRandom) {
    // Of white: as strong as the edge of a lung, so that a small network sees it in minutes.
    let amplitude = Float(random.uniform(0.18, 0.26))
    let count = box.side / Self.spacing
    let texture = SyntheticTexture(of: box.finding)
      .values(points: count, spacing: Double(Self.spacing), &random)
    for row in 0..<count {
      let start = (box.y / Self.spacing + row) * Self.side + box.x / Self.spacing
      for column in 0..<count { points[start + column] += amplitude * texture[row * count + column] }
    }
  }

  /// The image: exposed, enlarged, with grain and a burned-in marker.
  func developed(_ random: inout CounterRandom) -> Radiograph {
    let contrast = Float(random.uniform(0.85, 1.1))
    let brightness = Float(random.uniform(-0.05, 0.05))
    let exposed = points.map { 255 * (0.5 + contrast * ($0 - 0.5 + brightness)) }
    let size = SyntheticRadiographs.imageSide
    var pixels = [UInt8](unsafeUninitializedCapacity: size * size) { buffer, initialized in
      Self.enlarge(exposed, into: buffer, &random)
      initialized = size * size
    }
    Self.burnMarker(into: &pixels)
    return Radiograph(width: size, height: size, channels: 1, pixels: pixels)
  }

  /// Four times the size by linear interpolation between the centres of points, plus a grain of −1, 0 or 1, rounded.
  private static func enlarge(
    _ points: [Float], into pixels: UnsafeMutableBufferPointer<UInt8>, _ random: inout CounterRandom
  ) {
    // Where the pixels of a point lie from its centre, in points.
    let offsets: [Float] = [-0.375, -0.125, 0.125, 0.375]
    var line = [Float](repeating: 0, count: side + 2)
    for row in 0..<side * spacing {
      let near = row / spacing
      let offset = offsets[row % spacing]
      let far = min(max(near + (offset < 0 ? -1 : 1), 0), side - 1)
      for column in 0..<side {
        let value = points[near * side + column]
        line[column + 1] = value + abs(offset) * (points[far * side + column] - value)
      }
      // The ends stand once more, so that every point has two neighbours.
      line[0] = line[1]
      line[side + 1] = line[side]
      for column in 0..<side {
        let (before, value, after) = (line[column], line[column + 1], line[column + 2])
        var grain = random.next32()
        for part in 0..<spacing {
          let offset = offsets[part]
          let smooth = offset < 0 ? value + offset * (value - before) : value + offset * (after - value)
          // A third each; 1.5 makes up for the grain's −1 and rounds.
          let grown = smooth - 0.5 + Float((grain & 255) * 3 >> 8)
          grain >>= 8
          pixels[(row * side + column) * spacing + part] = UInt8(min(max(grown, 0), 255))
        }
      }
    }
  }

  /// An L at the patient's left shoulder, outside what a centre crop sees of a finding.
  private static func burnMarker(into pixels: inout [UInt8]) {
    let size = SyntheticRadiographs.imageSide
    for row in 40..<96 {
      for column in 940..<(row < 86 ? 950 : 976) { pixels[row * size + column] = 240 }
    }
  }
}
