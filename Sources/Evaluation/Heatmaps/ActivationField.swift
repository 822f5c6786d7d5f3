import CKernels
import ChestXray
import Engine

/// The class activation maps of one finding in one radiograph, on the pixels of a picture: each map over what its crop showed, and where
/// crops overlap, their mean.
///
/// Cell i of a map covers [i, i + 1) of it, so its value stands at i + ½; between centres it is linear, beyond the outer ones it
/// stays (what PyTorch calls `align_corners=False`). What a network saw mirrored is mirrored back.
public struct ActivationField: Sendable {
  public let width: Int
  public let height: Int
  /// Smallest and largest activation, without the bias: of a map's cells, or of the pixels' means of several.
  public private(set) var minimum: Float
  public private(set) var maximum: Float
  /// Where the largest is, in pixels of the picture: the centre of the first such cell, or, of several maps, of the first such pixel.
  public private(set) var peak: (x: Double, y: Double)
  private let crops: [Crop]

  /// - Parameters:
  ///   - maps: the map of each crop, one or more.
  ///   - windows: what each crop showed, in pixels of the picture.
  ///   - width: of the picture, as is `height`.
  public init(_ maps: [ClassActivationMap], windows: [CropWindow], width: Int, height: Int) {
    precondition(!maps.isEmpty && maps.count == windows.count && width > 0 && height > 0)
    (self.width, self.height) = (width, height)
    crops = zip(maps, windows).map { Crop($0, $1, width: width, height: height) }
    (minimum, maximum) = (maps[0].minimum, maps[0].maximum)
    peak = maps[0].peakPosition(in: windows[0])
    if maps.count > 1 { findExtremes() }
  }

  /// A map in the radiograph's own pixels.
  public init(_ map: ClassActivationMap, view: ImageView) {
    self.init([map], windows: [view.window], width: view.width, height: view.height)
  }

  /// Calls `body` with each row from the top, `width` activations without the bias, and with the columns of it that were seen, as ranges from
  /// left to right. Elsewhere the row is 0.
  func forEachRow(_ body: (Int, UnsafeMutableBufferPointer<Float>, [Range<Int>]) -> Void) {
    let kernels = ck_pixels_of(ck_best_level())
    withUnsafeTemporaryAllocation(of: Float.self, capacity: width) { row in
      for (start, end) in neighbours(crops.map(\.rows.range), within: 0..<height) {
        let seeing = crops.filter { $0.rows.range.contains(start) }
        let parts = neighbours(seeing.map(\.columns.range), within: 0..<width).map { start, end in
          (columns: start..<end, count: seeing.count { $0.columns.range.contains(start) })
        }
        let seen = parts.filter { $0.count > 0 }.map(\.columns)
        for y in start..<end {
          row.initialize(repeating: 0)
          for crop in seeing { crop.add(y, to: row, kernels) }
          for part in parts where part.count > 1 { for x in part.columns { row[x] /= Float(part.count) } }
          body(y, row, seen)
        }
      }
    }
  }

  /// The ends of `ranges`, and of `whole`, two by two: between two neighbours nothing begins or ends.
  private func neighbours(_ ranges: [Range<Int>], within whole: Range<Int>) -> [(Int, Int)] {
    let ends = Set((ranges + [whole]).flatMap { [$0.lowerBound, $0.upperBound] }).sorted()
    return Array(zip(ends, ends.dropFirst()))
  }

  private mutating func findExtremes() {
    var (least, largest, place) = (Float.infinity, -Float.infinity, (x: 0, y: 0))
    forEachRow { y, row, seen in
      for x in seen.joined() {
        if row[x] < least { least = row[x] }
        if row[x] > largest { (largest, place) = (row[x], (x, y)) }
      }
    }
    // Where no crop saw a pixel's centre there is nothing to be told apart.
    guard least <= largest else { return }
    (minimum, maximum) = (least, largest)
    peak = (Double(place.x) + 0.5, Double(place.y) + 0.5)
  }

  /// One map, its rows of cells drawn out to the picture's columns.
  private struct Crop {
    let columns: Axis
    let rows: Axis
    /// `[rows of cells, columns.range]`
    let drawn: [Float]

    init(_ map: ClassActivationMap, _ window: CropWindow, width: Int, height: Int) {
      columns = Axis(
        pixels: width, start: window.x, extent: window.width, cells: map.width, isMirrored: window.isMirrored)
      rows = Axis(pixels: height, start: window.y, extent: window.height, cells: map.height, isMirrored: false)
      let places = columns.places
      drawn = (0..<map.height).flatMap { row in
        places.map { place in
          let (a, b) = (map.values[row * map.width + place.first], map.values[row * map.width + place.second])
          return a + place.share * (b - a)
        }
      }
    }

    func add(_ y: Int, to row: UnsafeMutableBufferPointer<Float>, _ kernels: ck_pixels) {
      let count = columns.range.count
      let place = rows.places[y - rows.range.lowerBound]
      guard count > 0, let row = row.baseAddress else { return }
      drawn.withUnsafeBufferPointer { drawn in
        guard let drawn = drawn.baseAddress else { return }
        kernels.add_mixed(
          row + columns.range.lowerBound, drawn + place.first * count, drawn + place.second * count, place.share, count)
      }
    }
  }

  /// Between which two cells the centres of pixels lie, on one axis.
  private struct Axis {
    /// The pixels whose centres are in the window.
    let range: Range<Int>
    /// One for each of them.
    let places: [(first: Int, second: Int, share: Float)]

    init(pixels: Int, start: Double, extent: Double, cells: Int, isMirrored: Bool) {
      // The share of the window that is before the pixel's centre.
      func share(_ pixel: Int) -> Double { (Double(pixel) + 0.5 - start) / extent }
      let first = (0..<pixels).first { share($0) >= 0 } ?? pixels
      let end = (first..<pixels).first { share($0) >= 1 } ?? pixels
      range = first..<end
      places = range.map { pixel in
        let share = isMirrored ? 1 - share(pixel) : share(pixel)
        let position = min(max(share * Double(cells) - 0.5, 0), Double(cells - 1))
        let cell = Int(position)
        return (cell, min(cell + 1, cells - 1), Float(position - Double(cell)))
      }
    }
  }
}
