import Testing

@testable import ChestXray

@Suite struct FindingTests {
  @Test("the findings are in the order of the published networks")
  func order() {
    #expect(
      Finding.allCases.map(\.name) == [
        "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
        "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
      ])
  }

  @Test(
    "a finding is known in every documented spelling",
    arguments: [
      ("Infiltrate", .infiltration), ("infiltration", .infiltration), ("Pleural Thickening", .pleuralThickening),
      ("Pleural_Thickening", .pleuralThickening), ("Pleural-thickening", .pleuralThickening),
      ("PT", .pleuralThickening),
      ("HERNIA", .hernia), (" Mass ", .mass),
    ] as [(String, Finding)])
  func spellings(text: String, finding: Finding) {
    #expect(Finding(named: text) == finding)
    #expect(canonicalClassName(text) == finding.name)
  }

  @Test("other classes keep their names", arguments: ["Lung Opacity", "No Finding", "", "class_0"])
  func others(text: String) {
    #expect(Finding(named: text) == nil)
    #expect(canonicalClassName(text) == text)
  }

  @Test("a typo suggests the nearest finding")
  func suggestions() {
    #expect(Finding.nearest(to: "Cardiomegali") == .cardiomegaly)
    #expect(Finding.nearest(to: "Pneumotorax") == .pneumothorax)
    #expect(Finding.nearest(to: "pleural thickning") == .pleuralThickening)
    #expect(Finding.nearest(to: "Lung Opacity") == nil)
    #expect(Finding.nearest(to: "") == nil)
    #expect(Finding.nearest(to: String(repeating: "a", count: 1_000_000)) == nil)
  }
}
