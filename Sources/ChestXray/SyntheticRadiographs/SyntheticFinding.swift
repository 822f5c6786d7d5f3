import Foundation
import Platform

/// Where a finding is planted: a square, in pixels from the top left corner of the image.
struct SyntheticBox: Equatable, Sendable {
  var finding: Finding
  var x: Int
  var y: Int
  var side: Int

  /// Sides: at most 244 of 1024 pixels, 5.7 % of the image, and room for two periods of the coarsest texture. All are
  /// multiples of 4, a point of `SyntheticFilm`.
  private static let sides = stride(from: 208, through: 244, by: 4).map { $0 }

  /// What a resize to 256 and a centre crop of 224 sees, [64, 960), and a margin.
  private static let visible = 72...952

  /// Random places for `findings` that do not overlap.
  static func place(_ findings: [Finding], _ random: inout CounterRandom) -> [SyntheticBox] {
    while true {
      var boxes: [SyntheticBox] = []
      for finding in findings {
        // Where the others leave no room, all are placed anew. Six squares of 244 in 880 find room more often than not.
        for _ in 0..<60 where !boxes.contains(where: { $0.finding == finding }) {
          let box = SyntheticBox(finding, &random)
          if box.isInBody, !boxes.contains(where: box.overlaps) { boxes.append(box) }
        }
      }
      if boxes.count == findings.count { return boxes }
    }
  }

  private init(_ finding: Finding, _ random: inout CounterRandom) {
    self.finding = finding
    side = Self.sides[random.below(Self.sides.count)]
    let places = (Self.visible.upperBound - Self.visible.lowerBound - side) / 4 + 1
    x = Self.visible.lowerBound + 4 * random.below(places)
    y = Self.visible.lowerBound + 4 * random.below(places)
  }

  /// Above the shoulders there is air.
  private var isInBody: Bool {
    y >= 150 || (x >= 150 && x + side <= SyntheticRadiographs.imageSide - 150)
  }

  private func overlaps(_ other: SyntheticBox) -> Bool {
    x < other.x + other.side && other.x < x + side && y < other.y + other.side && other.y < y + side
  }
}

/// The texture that stands for a finding: waves of one length and direction, or of two.
///
/// All are their own mirror images, so that a horizontal flip, which augmentation does, changes no finding into another.
/// Wavelengths are chosen for a network of 64 × 64 pixels, to which 14 pixels of the image are one of its own.
struct SyntheticTexture: Equatable {
  enum Arrangement: Equatable {
    /// Waves that run at `degrees` from the horizontal to the right of the middle, and mirrored to the left.
    case mirrored(degrees: Double)
    /// Horizontal and vertical waves at once.
    case crossed
  }

  var arrangement: Arrangement
  /// Pixels.
  var wavelength: Double

  init(_ arrangement: Arrangement, _ wavelength: Double) {
    self.arrangement = arrangement
    self.wavelength = wavelength
  }

  init(of finding: Finding) {
    self =
      switch finding {
      case .atelectasis: SyntheticTexture(.mirrored(degrees: 90), 46)
      case .cardiomegaly: SyntheticTexture(.crossed, 80)
      case .effusion: SyntheticTexture(.mirrored(degrees: 90), 90)
      case .infiltration: SyntheticTexture(.mirrored(degrees: 30), 46)
      case .mass: SyntheticTexture(.mirrored(degrees: 60), 90)
      case .nodule: SyntheticTexture(.crossed, 52)
      case .pneumonia: SyntheticTexture(.mirrored(degrees: 60), 46)
      case .pneumothorax: SyntheticTexture(.mirrored(degrees: 0), 90)
      case .consolidation: SyntheticTexture(.mirrored(degrees: 60), 64)
      case .edema: SyntheticTexture(.mirrored(degrees: 0), 46)
      case .emphysema: SyntheticTexture(.mirrored(degrees: 30), 90)
      case .fibrosis: SyntheticTexture(.mirrored(degrees: 30), 64)
      case .pleuralThickening: SyntheticTexture(.mirrored(degrees: 0), 64)
      case .hernia: SyntheticTexture(.mirrored(degrees: 90), 64)
      }
  }

  /// A square of `points` × `points` values that average to 0, `spacing` pixels apart: about −1 … 1, fading at the edges.
  func values(points: Int, spacing: Double, _ random: inout CounterRandom) -> [Float] {
    let (phase, otherPhase) = (random.uniform(0, 2 * Double.pi), random.uniform(0, 2 * Double.pi))
    // Nobody draws exactly.
    let tilt = random.uniform(-3, 3)
    let polarity: Double = random.below(2) == 0 ? 1 : -1
    let wave = 2 * Double.pi / wavelength
    let positions = (0..<points).map { (Double($0) + 0.5 - Double(points) / 2) * spacing }
    // The outer 24 pixels fade.
    let fade = positions.map { position in
      let t = min(1, (Double(points) / 2 * spacing - abs(position)) / 24)
      return t * t * (3 - 2 * t)
    }
    var values: [Double] = []
    var (sum, weight) = (0.0, 0.0)
    for (row, y) in positions.enumerated() {
      for (column, x) in positions.enumerated() {
        let value: Double
        switch arrangement {
        case .mirrored(let degrees):
          let angle = (degrees + tilt) * Double.pi / 180
          value = cos(wave * (abs(x) * cos(angle) + y * sin(angle)) + phase)
        case .crossed:
          value = 0.7 * (cos(wave * x + phase) + cos(wave * y + otherPhase))
        }
        values.append(value)
        let share = min(fade[row], fade[column])
        sum += share * value
        weight += share
      }
    }
    for index in values.indices {
      let share = min(fade[index / points], fade[index % points])
      values[index] = polarity * share * (values[index] - sum / weight)
    }
    return values.map(Float.init)
  }
}
