/// A rectangle in the pixels of a radiograph: it covers [x, x + width) × [y, y + height), so that the box around one
/// pixel has the area 1.
struct Rectangle: Equatable, Sendable {
  var x: Double
  var y: Double
  var width: Double
  var height: Double

  var area: Double { width * height }

  /// The area that both cover; 0 where they only touch.
  func intersection(_ other: Rectangle) -> Double {
    let width = min(x + self.width, other.x + other.width) - max(x, other.x)
    let height = min(y + self.height, other.y + other.height) - max(y, other.y)
    return width > 0 && height > 0 ? width * height : 0
  }

  /// Its part on a picture of `width` × `height` pixels; nil where it has none.
  func clipped(toWidth pictureWidth: Int, height pictureHeight: Int) -> Rectangle? {
    let (left, top) = (max(x, 0), max(y, 0))
    let (right, bottom) = (min(x + width, Double(pictureWidth)), min(y + height, Double(pictureHeight)))
    guard left < right, top < bottom else { return nil }
    return Rectangle(x: left, y: top, width: right - left, height: bottom - top)
  }

  /// The boxes around the regions of pixels above `level`, in the order of their first pixels, row by row.
  ///
  /// Pixels of a region are connected by their sides or corners (8-connectivity). A row is read as runs of such
  /// pixels; a run joins the regions of those that it touches in the row above (union-find, after Rosenfeld and
  /// Pfaltz, "Sequential Operations in Digital Picture Processing", JACM 1966, section 4), so nothing is kept for a
  /// pixel and nothing recurs.
  ///
  /// - Parameter pixels: `[height, width]`.
  static func aroundRegions(of pixels: [UInt16], width: Int, height: Int, above level: UInt16) -> [Rectangle] {
    precondition(pixels.count == width * height)
    var regions = RegionForest()
    var (above, row): ([Run], [Run]) = ([], [])
    pixels.withUnsafeBufferPointer { pixels in
      for y in 0..<height {
        swap(&above, &row)
        row.removeAll(keepingCapacity: true)
        let start = y * width
        // The first run above that can still touch a run of this row.
        var next = 0
        var x = 0
        while true {
          while x < width, pixels[start + x] <= level { x += 1 }
          guard x < width else { break }
          let first = x
          while x < width, pixels[start + x] > level { x += 1 }
          // Runs touch at their corners where the end of one is the start of the other.
          while next < above.count, above[next].end < first { next += 1 }
          var region: Int?
          var index = next
          while index < above.count, above[index].start <= x {
            region = region.map { regions.join($0, above[index].region) } ?? above[index].region
            index += 1
          }
          let own = region ?? regions.add()
          regions.extend(own, columns: first..<x, row: y)
          row.append(Run(start: first, end: x, region: own))
        }
      }
    }
    return regions.boxes
  }

  /// Neighbouring pixels of a row, [start, end), all above the level.
  private struct Run {
    let start: Int
    let end: Int
    let region: Int
  }
}

/// Regions that turn out to be one are joined under the oldest, which then has the box around all.
private struct RegionForest {
  private struct Extent {
    var columns: Range<Int>
    var rows: Range<Int>
  }

  /// The region that a region was joined to; its own index where it was not.
  private var parents: [Int] = []
  private var extents: [Extent?] = []

  mutating func add() -> Int {
    parents.append(parents.count)
    extents.append(nil)
    return parents.count - 1
  }

  /// The region that `region` is part of. Halves the way there for the next.
  private mutating func root(_ region: Int) -> Int {
    var region = region
    while parents[region] != region {
      parents[region] = parents[parents[region]]
      region = parents[region]
    }
    return region
  }

  /// Joins two regions and answers which one they are now.
  mutating func join(_ a: Int, _ b: Int) -> Int {
    let (a, b) = (root(a), root(b))
    guard a != b else { return a }
    let (old, young) = (min(a, b), max(a, b))
    parents[young] = old
    if let extent = extents[young] { extend(old, columns: extent.columns, rows: extent.rows) }
    return old
  }

  mutating func extend(_ region: Int, columns: Range<Int>, row: Int) {
    extend(root(region), columns: columns, rows: row..<row + 1)
  }

  private mutating func extend(_ root: Int, columns: Range<Int>, rows: Range<Int>) {
    guard let extent = extents[root] else {
      extents[root] = Extent(columns: columns, rows: rows)
      return
    }
    extents[root] = Extent(columns: extent.columns.union(columns), rows: extent.rows.union(rows))
  }

  /// Of the regions that were joined to no other.
  var boxes: [Rectangle] {
    parents.indices.compactMap { region in
      guard parents[region] == region, let extent = extents[region] else { return nil }
      return Rectangle(
        x: Double(extent.columns.lowerBound), y: Double(extent.rows.lowerBound), width: Double(extent.columns.count),
        height: Double(extent.rows.count))
    }
  }
}

extension Range<Int> {
  /// The smallest range around both.
  fileprivate func union(_ other: Range<Int>) -> Range<Int> {
    Swift.min(lowerBound, other.lowerBound)..<Swift.max(upperBound, other.upperBound)
  }
}
