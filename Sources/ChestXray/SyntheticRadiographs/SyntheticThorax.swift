import Foundation
import Platform

/// A schematic chest from the front: trunk, lungs, heart, diaphragm, spine, ribs and collarbones, a little different
/// each time.
///
/// Lengths are in sides of the image, from the top left corner; brightness is 0 for air and about 1 for bone. Edges and
/// ridges are polynomials rather than exponentials, which are quicker and have the same bits everywhere.
struct SyntheticThorax {
  private let midline: Float
  private let halfWidth: Float
  private let shoulder: Float
  private let lungHalfWidth: Float
  private let lungHalfHeight: Float
  private let lungMiddle: Float
  private let lungOffset: (right: Float, left: Float)
  private let heart: (offset: Float, halfWidth: Float)
  private let diaphragm: Float
  private let ribs: (top: Float, gap: Float, slope: Float)
  private let collarbone: (right: Float, left: Float)
  private let vertebraPhase: Float
  private let haze: (coarse: SmoothNoise, fine: SmoothNoise)

  init(_ random: inout CounterRandom) {
    func draw(_ low: Double, _ high: Double, _ random: inout CounterRandom) -> Float {
      Float(random.uniform(low, high))
    }
    midline = draw(0.48, 0.52, &random)
    halfWidth = draw(0.46, 0.50, &random)
    shoulder = draw(0.08, 0.13, &random)
    lungHalfWidth = draw(0.150, 0.175, &random)
    lungHalfHeight = draw(0.30, 0.34, &random)
    lungMiddle = draw(0.44, 0.48, &random)
    lungOffset = (draw(0.205, 0.225, &random), draw(0.205, 0.225, &random))
    heart = (draw(0.05, 0.08, &random), draw(0.13, 0.16, &random))
    diaphragm = draw(0.78, 0.82, &random)
    ribs = (draw(0.08, 0.12, &random), draw(0.075, 0.085, &random), draw(0.35, 0.50, &random))
    collarbone = (draw(0.15, 0.17, &random), draw(0.15, 0.17, &random))
    vertebraPhase = draw(0, 2 * Double.pi, &random)
    haze = (SmoothNoise(cells: 6, &random), SmoothNoise(cells: 14, &random))
  }

  /// The brightness of a square of `side` × `side` points, rows from the top.
  func brightness(side: Int) -> [Float] {
    var values = [Float](repeating: 0, count: side * side)
    for row in 0..<side {
      let y = (Float(row) + 0.5) / Float(side)
      let level = Level(y, of: self)
      for column in 0..<side {
        let x = (Float(column) + 0.5) / Float(side)
        values[row * side + column] = brightness(x - midline, level) + haze.coarse.value(x, y) + haze.fine.value(x, y)
      }
    }
    return values
  }

  /// What all points of a row have in common.
  private struct Level {
    let y: Float
    let halfWidth: Float
    let ribs: Float
    let vertebra: Float

    init(_ y: Float, of thorax: SyntheticThorax) {
      self.y = y
      let neck: Float = 0.13
      halfWidth =
        neck + (thorax.halfWidth - neck) * step(y - thorax.shoulder, 0.09) - 0.03 * step(y - 0.45, 0.3)
      ribs = step(y - 0.08, 0.09) * step(0.80 - y, 0.09)
      vertebra = 0.06 + 0.03 * Float(sin(Double(2 * Float.pi * 15 * y + thorax.vertebraPhase)))
    }
  }

  /// The brightness `x` to the right of the midline.
  private func brightness(_ x: Float, _ level: Level) -> Float {
    let y = level.y
    let distance = abs(x)
    let trunk = step(level.halfWidth - distance, 0.024)
    // The patient's right is at the left.
    let isRight = x < 0

    let lungX = (distance - (isRight ? lungOffset.right : lungOffset.left) - 0.055 * (y - lungMiddle)) / lungHalfWidth
    let lungY = (y - lungMiddle) / lungHalfHeight
    let lung = step(1 - lungX * lungX * (0.6 + 0.4 * lungX * lungX) - lungY * lungY * (0.5 + 0.5 * lungY * lungY), 0.25)

    let heartX = (x - heart.offset) / heart.halfWidth
    let heartY = (y - 0.64) / 0.15
    let heartShadow = step(1 - heartX * heartX - heartY * heartY, 0.3)

    let dome = distance - 0.21
    let abdomen = step(y - diaphragm - 0.02 * step(x, 0.06) - 0.9 * dome * dome, 0.035)

    let rib = (y - ribs.top + ribs.slope * distance * (0.25 - 2.7 * distance)) / ribs.gap
    let ribShadow =
      ridge((rib - rib.rounded()) / 0.30) * level.ribs * step(0.44 - distance, 0.03) * step(distance - 0.05, 0.05)

    let collar = y - (isRight ? collarbone.right : collarbone.left) + 0.20 * (distance - 0.05)
    let collarShadow = ridge(collar / 0.026) * step(distance - 0.05, 0.03) * step(0.40 - distance, 0.05)

    let soft = 0.48 + 0.06 * ridge(x / 0.2) + 0.10 * abdomen + ridge(x / 0.06) * level.vertebra
    let bone = 0.045 * ribShadow + 0.08 * collarShadow
    return 0.08 + trunk * (soft + bone) - 0.22 * lung + 0.12 * heartShadow
  }
}

/// Rises smoothly from 0 where `distance` ≤ −`reach` to 1 where it is ≥ `reach`.
private func step(_ distance: Float, _ reach: Float) -> Float {
  let t = min(max(0.5 + 0.5 * distance / reach, 0), 1)
  return t * t * (3 - 2 * t)
}

/// 1 where `t` is 0, falling smoothly to 0 where it is −1 or 1.
private func ridge(_ t: Float) -> Float {
  let inside = max(0, 1 - t * t)
  return inside * inside
}

/// Random brightness on a lattice of `cells` × `cells`, smooth between its points.
private struct SmoothNoise {
  private let cells: Int
  private let lattice: [Float]

  init(cells: Int, _ random: inout CounterRandom) {
    self.cells = cells
    // Grows with the size of the cells: soft tissue varies slowly.
    let amplitude = 0.36 / Double(cells)
    lattice = (0..<(cells + 1) * (cells + 1)).map { _ in Float(random.uniform(-amplitude, amplitude)) }
  }

  /// At `x`, `y` in 0 ..< 1.
  func value(_ x: Float, _ y: Float) -> Float {
    let (across, down) = (x * Float(cells), y * Float(cells))
    let (column, row) = (Int(across), Int(down))
    let (u, v) = (smooth(across - Float(column)), smooth(down - Float(row)))
    let corner = row * (cells + 1) + column
    let top = lattice[corner] + u * (lattice[corner + 1] - lattice[corner])
    let bottom = lattice[corner + cells + 1] + u * (lattice[corner + cells + 2] - lattice[corner + cells + 1])
    return top + v * (bottom - top)
  }

  private func smooth(_ t: Float) -> Float { t * t * (3 - 2 * t) }
}
