import ChestXray
import Platform
import TestSupport
import Testing

@testable import Evaluation

@Suite struct LocalizationTests {
  private func box(
    _ image: String, _ x: Double, _ y: Double, _ width: Double, _ height: Double, _ finding: Finding = .mass
  ) -> FindingBox {
    FindingBox(image: image, finding: finding, x: x, y: y, width: width, height: height)
  }

  private func localization(_ boxes: [FindingBox], images: [String] = ["a.png", "b.png"]) -> Localization {
    Localization(boxes, classes: ["Mass", "Nodule", "Infiltration"], images: images)
  }

  /// A map of 20 × 10 pixels: 0, but for `blocks` of a value each.
  private func map(_ blocks: [(columns: Range<Int>, rows: Range<Int>, value: UInt16)]) -> [UInt16] {
    (0..<200).map { pixel in
      blocks.last { $0.columns.contains(pixel % 20) && $0.rows.contains(pixel / 20) }?.value ?? 0
    }
  }

  private func hits(_ localization: Localization, _ criterion: LocalizationCriterion) -> [Int]? {
    localization.tallies[.mass]?[criterion].map(\.hits)
  }

  private func falseDetections(_ localization: Localization, _ criterion: LocalizationCriterion) -> [Int]? {
    localization.tallies[.mass]?[criterion].map(\.falseDetections)
  }

  /// Above 60: 10 × 4 pixels from (2, 2). Above 180: 4 × 4 of them, from (4, 2). The box is 5 × 4 from (4, 2): 20/40 and
  /// 16/16 of the detections are inside; 20/40 and 16/20 of the union are common.
  @Test func `overlaps are the intersection's share of the detection and of the union, and must be greater than T`() {
    var localization = localization([box("a.png", 4, 2, 5, 4)])
    localization.add(
      map([(2..<12, 2..<6, 61), (4..<8, 2..<6, 181)]), width: 20, height: 10, image: "x/a.png", finding: .mass)
    #expect(localization.tallies[.mass]?.detections == 2)
    #expect(hits(localization, .iobb) == [1, 1, 1, 1, 1])
    // Exactly one half is not above one half.
    #expect(falseDetections(localization, .iobb) == [0, 0, 1, 1, 1])
    #expect(hits(localization, .iou) == [1, 1, 1, 1, 1, 1, 1])
    #expect(falseDetections(localization, .iou) == [0, 0, 0, 0, 1, 1, 1])
  }

  /// Two cells on the middle four of eight columns: 0, 64, 191, 255. Above 60 are columns 3 to 5, which
  /// are the box; above 180 are 4 and 5.
  @Test func `a map is scored in the radiograph's pixels, from its minimum to its maximum`() {
    let view = ImageView(width: 8, height: 4, window: CropWindow(x: 2, y: 0, width: 4, height: 4))
    let map = ClassActivationMap(height: 1, width: 2, values: [-1, 3], bias: -1, logit: 0)
    let heatmap = Heatmap(
      image: "folder/a.png", finding: "mass", probability: 0.5, logit: 0, bias: -1,
      field: ActivationField(map, view: view), crops: 1, maskedBorder: 0, window: view.window,
      isPeakOnBorder: false, borderShare: 0, path: "a.pgm", overlayPath: nil)
    var localization = localization([box("a.png", 3, 0, 3, 4)])
    localization.add(heatmap)
    #expect(hits(localization, .iou) == [1, 1, 1, 1, 1, 1, 1])
    #expect(falseDetections(localization, .iou) == [0, 0, 0, 0, 0, 0, 1])
  }

  @Test func `a pixel of exactly the level is not above it`() {
    var localization = localization([box("a.png", 0, 0, 20, 10)])
    localization.add(
      map([(2..<12, 2..<6, 60), (14..<16, 2..<6, 180)]), width: 20, height: 10, image: "a.png", finding: .mass)
    // Only the second block, above 60.
    #expect(localization.tallies[.mass]?.detections == 1)
  }

  @Test func `boxes of one finding in an image are each found or not, and a detection is false where it finds none`() {
    var localization = localization([
      box("a.png", 0, 0, 4, 4), box("a.png", 10, 0, 4, 4), box("a.png", 16, 6, 4, 4),
      box("a.png", 0, 6, 4, 4, .nodule), box("b.png", 0, 0, 4, 4),
    ])
    localization.add(
      map([(0..<4, 0..<4, 100), (10..<14, 0..<4, 200), (0..<4, 6..<10, 100)]), width: 20, height: 10, image: "a.png",
      finding: .mass)
    // Above 60: both boxes and the place of the nodule, which is no mass; above 180: the second box again.
    #expect(localization.tallies[.mass]?.detections == 4)
    #expect(hits(localization, .iobb) == [2, 2, 2, 2, 2])
    #expect(falseDetections(localization, .iobb) == [1, 1, 1, 1, 1])
    localization.add(map([]), width: 20, height: 10, image: "b.png", finding: .mass)
    let tally = localization.tallies[.mass]
    #expect(tally?.maps == 2 && tally?.boxes == 4 && tally?.detections == 4)
    #expect(tally.map { $0.accuracy($0[.iou][0]) } == 0.5)
    #expect(tally.map { $0.falsePerMap($0[.iou][0]) } == 0.5)
    #expect(localization.tallies[.nodule] == nil && localization.notDrawn == 1)
  }

  @Test func `only maps whose finding has a box in their image count, and each once`() {
    var localization = localization([box("a.png", 0, 0, 4, 4)])
    let map = map([(0..<4, 0..<4, 255)])
    localization.add(map, width: 20, height: 10, image: "a.png", finding: .nodule)
    localization.add(map, width: 20, height: 10, image: "b.png", finding: .mass)
    #expect(localization.tallies.isEmpty)
    localization.add(map, width: 20, height: 10, image: "a.png", finding: .mass)
    localization.add(map, width: 20, height: 10, image: "a.png", finding: .mass)
    #expect(localization.tallies[.mass]?.maps == 1)
  }

  @Test func `what is left out is counted by its reason`() {
    var localization = localization([
      box("a.png", 0, 0, 4, 4), box("a.png", 0, 0, 4, 4), box("a.png", 0, 0, 4, 5), box("c.png", 0, 0, 4, 4),
      box("a.png", 0, 0, 4, 4, .hernia), box("b.png", 0, 0, 4, 4), box("b.png", 18.5, 0, 4, 4, .nodule),
      box("b.png", 20, 0, 4, 4, .nodule),
    ])
    localization.add(map([(0..<4, 0..<4, 255)]), width: 20, height: 10, image: "a.png", finding: .mass)
    localization.add(map([(17..<20, 0..<4, 255)]), width: 20, height: 10, image: "b.png", finding: .nodule)
    #expect(localization.tallies[.mass]?.boxes == 2)
    #expect(localization.tallies[.nodule]?.boxes == 1)
    // The part inside is 1.5 × 4 of the 3 × 4 that were detected, which is the union too.
    #expect(localization.tallies[.nodule]?[.iou].map(\.hits) == [1, 1, 1, 1, 0, 0, 0])
    #expect(localization.duplicates == 1)
    #expect(localization.ofOtherImages == 1)
    #expect(localization.ofOtherFindings == 1)
    #expect(localization.notDrawn == 1)
    #expect(localization.outside == 1)
    #expect(localization.clipped == 1)
  }

  @Test func `an image whose boxes are all outside has no map`() {
    var localization = localization([box("a.png", 600, 700, 40, 40)])
    localization.add(map([(0..<4, 0..<4, 255)]), width: 20, height: 10, image: "a.png", finding: .mass)
    #expect(localization.tallies.isEmpty && localization.outside == 1 && localization.notDrawn == 0)
  }

  /// Flood fill, sets of pixels, and whole hundredths, against the scorer: 600 maps with up to four boxes each.
  @Test(arguments: 0..<6) func `counts are those of a count of pixels`(seed: Int) {
    var random = CounterRandom(seed: UInt64(seed), purpose: .syntheticRadiograph)
    for _ in 0..<100 {
      let (width, height) = (Int.random(in: 1...14, using: &random), Int.random(in: 1...14, using: &random))
      // Blocks of one value each, so that there are regions of some size, with noise between.
      let side = Int.random(in: 1...4, using: &random)
      let values = (0..<200).map { _ in [0, 60, 61, 120, 180, 181, 255].randomElement(using: &random) ?? 0 }
      let pixels = (0..<width * height).map { UInt16(values[$0 / width / side * 14 + $0 % width / side]) }
      let boxes = (0..<Int.random(in: 1...4, using: &random)).map { _ in
        let (x, y) = (Int.random(in: 0..<width, using: &random), Int.random(in: 0..<height, using: &random))
        return box(
          "a.png", Double(x), Double(y), Double(Int.random(in: 1...width - x, using: &random)),
          Double(Int.random(in: 1...height - y, using: &random)))
      }
      var localization = localization(boxes)
      localization.add(pixels, width: width, height: height, image: "a.png", finding: .mass)
      let distinct = Set(boxes.map { self.pixels(of: $0, width: width).sorted() }).map { Set($0) }
      let detections = [60, 180].flatMap { level in
        floodedBoxes(pixels, width: width, above: UInt16(level)).map {
          self.pixels(of: box("", $0.x, $0.y, $0.width, $0.height), width: width)
        }
      }
      let context: Comment = "seed \(seed), \(width) × \(height): \(pixels), \(boxes)"
      #expect(localization.tallies[.mass]?.boxes == distinct.count, context)
      #expect(localization.tallies[.mass]?.detections == detections.count, context)
      for criterion in LocalizationCriterion.allCases {
        let hundredths = criterion == .iobb ? [10, 25, 50, 75, 90] : [10, 20, 30, 40, 50, 60, 70]
        #expect(criterion.thresholds.count == hundredths.count)
        for (threshold, count) in zip(hundredths, localization.tallies[.mass]?[criterion] ?? []) {
          func finds(_ detection: Set<Int>, _ box: Set<Int>) -> Bool {
            let whole = criterion == .iobb ? detection.count : detection.union(box).count
            return 100 * detection.intersection(box).count > threshold * whole
          }
          #expect(count.hits == distinct.count { box in detections.contains { finds($0, box) } }, context)
          let isFalse = detections.map { detection in !distinct.contains { finds(detection, $0) } }
          #expect(count.falseDetections == isFalse.count { $0 }, context)
        }
      }
    }
  }

  private func pixels(of box: FindingBox, width: Int) -> Set<Int> {
    Set(
      (Int(box.y)..<Int(box.y + box.height)).flatMap { y in
        (Int(box.x)..<Int(box.x + box.width)).map { y * width + $0 }
      })
  }
}

/// On NIH's own list, with maps that were made up.
@Suite(
  .enabled(
    if: realChestXray14 != nil, "SKIPPED: no real box list at shared/data/chestxray14 beside the repository or above"))
struct LocalizationOfRealBoxesTests {
  private let boxes = Result { try FindingBox.read((realChestXray14 ?? "") + "/BBox_List_2017.csv") }

  /// Each map is white in the pixels that its box touches, so at most a pixel larger on each side.
  @Test func `a map that is the box finds it, all 984, at every threshold but for the smallest boxes`() throws {
    let boxes = try boxes.get()
    var localization = Localization(boxes, classes: Finding.allCases.map(\.name), images: boxes.map(\.image))
    var pixels = [UInt16](repeating: 0, count: 1 << 20)
    for box in boxes {
      let (columns, rows) = (
        Int(box.x)..<Int((box.x + box.width).rounded(.up)), Int(box.y)..<Int((box.y + box.height).rounded(.up))
      )
      for y in rows { for x in columns { pixels[y << 10 | x] = 255 } }
      localization.add(pixels, width: 1024, height: 1024, image: "images_001/" + box.image, finding: box.finding)
      for y in rows { for x in columns { pixels[y << 10 | x] = 0 } }
    }
    #expect(localization.notDrawn == 0 && localization.duplicates == 0)
    #expect(localization.outside == 0 && localization.clipped == 0)
    let published = PublishedLocalization.findings
    #expect(localization.tallies.count == published.count)
    for (finding, count) in published {
      let tally = try #require(localization.tallies[finding])
      #expect(tally.boxes == count && tally.maps == count && tally.detections == 2 * count)
      for threshold in tally[.iou] { #expect(threshold.hits == count && threshold.falseDetections == 0) }
      // 27 × 22 pixels is the smallest: two more pixels a side leave 0.85 of it.
      for threshold in tally[.iobb].dropLast() { #expect(threshold.hits == count && threshold.falseDetections == 0) }
    }
  }

  @Test func `of the boxes, those of other images and classes are left out`() throws {
    let boxes = try boxes.get()
    let images = Array(Set(boxes.map(\.image)).sorted().prefix(100))
    let localization = Localization(boxes, classes: ["Infiltration", "Mass", "Edema"], images: images)
    let given = boxes.filter { images.contains($0.image) }
    #expect(localization.ofOtherImages == 984 - given.count)
    let wanted = given.count { $0.finding == .infiltration || $0.finding == .mass }
    #expect(localization.notDrawn == wanted && localization.ofOtherFindings == given.count - wanted)
  }
}
