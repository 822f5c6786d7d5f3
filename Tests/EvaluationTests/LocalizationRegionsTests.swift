import Platform
import Testing

@testable import Evaluation

@Suite struct LocalizationRegionsTests {
  /// The boxes of a picture drawn in text: `#` is above the level, anything else is not.
  private func boxes(_ rows: [String]) -> [Rectangle] {
    let pixels = rows.flatMap { row in row.map { $0 == "#" ? UInt16(61) : 60 } }
    return Rectangle.aroundRegions(of: pixels, width: rows[0].count, height: rows.count, above: 60)
  }

  private func box(_ x: Double, _ y: Double, _ width: Double, _ height: Double) -> Rectangle {
    Rectangle(x: x, y: y, width: width, height: height)
  }

  @Test func `a region is what touches by sides or corners, in the order of first pixels`() {
    #expect(boxes(["...", "...", "..."]).isEmpty)
    #expect(boxes(["###", "###"]) == [box(0, 0, 3, 2)])
    #expect(boxes(["#.", ".#"]) == [box(0, 0, 2, 2)])
    #expect(boxes([".#", "#."]) == [box(0, 0, 2, 2)])
    #expect(boxes(["#.#", "...", "#.#"]) == [box(0, 0, 1, 1), box(2, 0, 1, 1), box(0, 2, 1, 1), box(2, 2, 1, 1)])
    // The end of a row and the start of the next do not touch.
    #expect(boxes(["..#", "...", "#.."]) == [box(2, 0, 1, 1), box(0, 2, 1, 1)])
    #expect(boxes(["...#", "#..."]) == [box(3, 0, 1, 1), box(0, 1, 1, 1)])
  }

  @Test func `arms that meet only below are one region, and a ring holds another`() {
    #expect(boxes(["#.#.#", "#.#.#", "#####"]) == [box(0, 0, 5, 3)])
    #expect(boxes(["#...#", ".#.#.", "..#.."]) == [box(0, 0, 5, 3)])
    // The right arm joins the left one through a third, which is older than neither.
    #expect(boxes(["..#..#", "#.#..#", "#.#..#", "######"]) == [box(0, 0, 6, 4)])
    #expect(boxes(["#####", "#...#", "#.#.#", "#...#", "#####"]) == [box(0, 0, 5, 5), box(2, 2, 1, 1)])
  }

  /// A stack and a set of pixels, against the runs: on a thousand noisy pictures of every density, down to a pixel wide.
  @Test(arguments: 0..<10) func `regions are those of a flood fill`(seed: Int) {
    var random = CounterRandom(seed: UInt64(seed), purpose: .syntheticRadiograph)
    for _ in 0..<100 {
      let (width, height) = (Int.random(in: 1...20, using: &random), Int.random(in: 1...20, using: &random))
      let density = Double.random(in: 0.05...0.95, using: &random)
      let pixels = (0..<width * height).map { _ in
        UInt16(Double.random(in: 0..<1, using: &random) < density ? Int.random(in: 101...255, using: &random) : 100)
      }
      let found = Rectangle.aroundRegions(of: pixels, width: width, height: height, above: 100)
      #expect(found == floodedBoxes(pixels, width: width, above: 100), "seed \(seed), \(width) × \(height): \(pixels)")
    }
  }

  @Test func `areas that only touch have none in common`() {
    #expect(box(0, 0, 2, 2).intersection(box(1, 1, 2, 2)) == 1)
    #expect(box(0, 0, 2, 2).intersection(box(2, 0, 2, 2)) == 0)
    #expect(box(0, 0, 2, 2).intersection(box(3, 3, 2, 2)) == 0)
    #expect(box(0.5, 0, 1.25, 4).intersection(box(1, 1, 9, 1)) == 0.75)
  }

  @Test func `a box is clipped to the picture, and is none outside`() {
    #expect(box(1, 2, 3, 4).clipped(toWidth: 10, height: 10) == box(1, 2, 3, 4))
    #expect(box(8.5, 9, 3, 4).clipped(toWidth: 10, height: 10) == box(8.5, 9, 1.5, 1))
    #expect(box(10, 0, 1, 1).clipped(toWidth: 10, height: 10) == nil)
    #expect(box(0, 12, 1, 1).clipped(toWidth: 10, height: 10) == nil)
  }
}

/// The boxes around the regions of pixels above `level`, found by filling each from its first pixel.
func floodedBoxes(_ pixels: [UInt16], width: Int, above level: UInt16) -> [Rectangle] {
  var left = Set(pixels.indices.filter { pixels[$0] > level })
  var boxes: [Rectangle] = []
  while let first = left.min() {
    left.remove(first)
    var (stack, members) = ([first], [first])
    while let pixel = stack.popLast() {
      for (dx, dy) in [(-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1)] {
        let (x, neighbour) = (pixel % width + dx, pixel + dy * width + dx)
        guard (0..<width).contains(x), left.remove(neighbour) != nil else { continue }
        stack.append(neighbour)
        members.append(neighbour)
      }
    }
    let (columns, rows) = (members.map { $0 % width }.sorted(), members.map { $0 / width }.sorted())
    boxes.append(
      Rectangle(
        x: Double(columns[0]), y: Double(rows[0]), width: Double(columns[columns.count - 1] - columns[0] + 1),
        height: Double(rows[rows.count - 1] - rows[0] + 1)))
  }
  return boxes
}
