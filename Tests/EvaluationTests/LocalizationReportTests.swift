import ChestXray
import Platform
import Testing

@testable import Evaluation

@Suite struct LocalizationReportTests {
  /// Two masses and a hernia on maps of 4 × 4 pixels.
  private var localization: Localization {
    func box(_ image: String, _ finding: Finding, _ x: Double, _ width: Double = 2) -> FindingBox {
      FindingBox(image: image, finding: finding, x: x, y: 0, width: width, height: 2)
    }
    var localization = Localization(
      [
        box("a.png", .mass, 0), box("b.png", .mass, 0), box("a.png", .hernia, 0), box("c.png", .mass, 0),
        box("a.png", .edema, 0), box("b.png", .hernia, 0), box("b.png", .hernia, 2), box("a.png", .hernia, 0),
        box("a.png", .hernia, 3), box("a.png", .hernia, 5),
      ], classes: ["Mass", "Hernia"], images: ["a.png", "b.png"])
    let map: [UInt16] = [255, 100, 0, 61, 0, 0, 0, 0, 0, 0, 0, 0, 70, 0, 0, 0]
    for (image, finding) in [("a.png", Finding.hernia), ("a.png", .mass), ("b.png", .mass)] {
      localization.add(map, width: 4, height: 4, image: image, finding: finding)
    }
    return localization
  }

  @Test func `the tables are these, within 80 columns`() {
    let text = localization.text
    #expect(
      text == """
        localisation (Wang et al., CVPR 2017): 4 boxes on 3 maps, 12 detections

                                        found, % (IoBB above)            false per map
        finding           boxes   0.1  0.25   0.5  0.75   0.9  0.1 0.25  0.5 0.75  0.9
        Mass                  2 100.0 100.0 100.0 100.0 100.0 2.00 2.00 2.00 2.00 2.00
          Wang, Table 4      85  43.5  28.2  14.1  11.8   5.9 0.64 0.67 0.69 0.70 0.71
          Wang, Table 19     85  58.8  45.9  30.6  16.5   9.4 0.39 0.43 0.46 0.48 0.49
        Hernia                2 100.0 100.0 100.0 100.0 100.0 1.00 1.00 1.00 1.00 1.00

                                   found, % (IoU above)       false per map
        finding           boxes   0.1   0.3   0.5   0.7  0.1  0.3  0.5  0.7
        Mass                  2 100.0 100.0   0.0   0.0 2.00 3.00 4.00 4.00
          Wang, Table 7      85  40.0  15.3   1.2   0.0 0.67 0.71 0.72 0.72
        Hernia                2 100.0 100.0   0.0   0.0 1.00 2.00 4.00 4.00

        Wang: their own networks (Tables 4 and 7 trained on ChestX-ray8, Table 19 on
        ChestX-ray14) on all 984 boxes. Their false detections are divided by 984
        whatever the finding; ours, by the finding's maps: not to be compared.

        left out: 1 box of images that are not among these
        left out: 1 box of findings that the checkpoint has no class for
        left out: 2 boxes of maps that were not drawn (--finding all draws every one)
        left out: 1 box wholly outside of their image
        1 box given twice, counted once
        1 box over the edge of the image, counted with the part inside

        """)
    #expect(text.split(separator: "\n").allSatisfy { $0.count <= 80 })
  }

  @Test func `without a map that has a box, that is said`() {
    #expect(Localization([], classes: ["Mass"], images: ["a.png"]).text == "localisation: no map has a box\n")
  }

  @Test func `JSON says the counts, the shares and what was published`() throws {
    let json = try JSONValue.parse(localization.json.text())
    #expect(json["boxes"] == 4 && json["maps"] == 3 && json["detections"] == 12)
    #expect(json["levels"] == [60, 180])
    #expect(
      json["left_out"] == ["image_not_given": 1, "finding_not_a_class": 1, "map_not_drawn": 2, "outside_image": 1])
    #expect(json["duplicates"] == 1 && json["clipped"] == 1)
    let mass = try #require(json["findings"]?[0])
    #expect(mass["name"] == "Mass" && mass["boxes"] == 2 && mass["maps"] == 2 && mass["detections"] == 8)
    #expect(
      mass["iou"]?[2] == [
        "above": 0.3, "hits": 2, "accuracy": 1.0, "false_detections": 6, "false_per_map": 3.0,
      ])
    #expect(json["findings"]?[1]?["name"] == "Hernia")
    let published = try #require(json["published"]?.array)
    #expect(published.map { $0["criterion"]?.string } == ["IoBB", "IoBB", "IoU"])
    #expect(published[0]["findings"]?[0]?["accuracy"]?[0]?.double == 0.7277)
  }
}

@Suite struct LocalizationPublishedTests {
  /// Four decimals, cut off or rounded, of k of `whole`; one figure, 1.009, has three.
  private func isShare(_ value: Double, of whole: Int) -> Bool {
    let counts = Int(value * Double(whole))...Int(value * Double(whole)) + 1
    return counts.contains { count in
      let exact = 1e4 * Double(count) / Double(whole)
      let digits = [exact.rounded(.down), exact.rounded(), value == 1.009 ? (exact / 10).rounded(.down) * 10 : exact]
      return digits.contains { abs($0 - 1e4 * value) < 1e-6 }
    }
  }

  @Test(arguments: LocalizationCriterion.allCases)
  func `figures are whole numbers of the finding's boxes, and of 984ths`(criterion: LocalizationCriterion) {
    let tables = PublishedLocalization.tables(criterion)
    #expect(tables.map(\.table) == (criterion == .iobb ? [4, 19] : [7]))
    for table in tables {
      #expect(table.criterion == criterion)
      for (finding, boxes) in PublishedLocalization.findings {
        let values = table.values(finding)
        #expect(values?.accuracy.count == criterion.thresholds.count)
        #expect(values?.falsePositives.count == criterion.thresholds.count)
        for value in values?.accuracy ?? [] { #expect(isShare(value, of: boxes), "\(table.table) \(finding) \(value)") }
        for value in values?.falsePositives ?? [] {
          #expect(isShare(value, of: 984), "\(table.table) \(finding) \(value)")
        }
        // A higher threshold finds fewer boxes, and makes more detections false.
        #expect(values.map { zip($0.accuracy, $0.accuracy.dropFirst()).allSatisfy { $0 >= $1 } } == true)
        #expect(values.map { zip($0.falsePositives, $0.falsePositives.dropFirst()).allSatisfy { $0 <= $1 } } == true)
      }
    }
    #expect(PublishedLocalization.findings.reduce(0) { $0 + $1.boxes } == 984)
    #expect(tables.allSatisfy { $0.values(.hernia) == nil })
  }
}
