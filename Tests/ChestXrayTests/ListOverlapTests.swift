import TestSupport
import Testing

@testable import ChestXray

@Suite struct ListOverlapTests {
  private func table(_ images: [(String, patient: String?)]) -> LabelTable {
    LabelTable(findings: [], samples: images.map { Sample(image: $0, labels: [], patient: $1) })
  }

  @Test func `ChestX-ray14's images are the same in any folder, others only where one list has none`() {
    let first = table([("images_001/00000001_000.png", "1"), ("p1/study1/view1.jpg", "p1"), ("p2/study1/view1.jpg", nil)])
    let second = table([("other/00000001_000.png", "1"), ("p2/study1/view1.jpg", "p2")])
    #expect(ListOverlap(first, second).images == ["00000001_000.png", "p2/study1/view1.jpg"])
    #expect(ListOverlap(first, second).patients == ["1"])
    let flat = table([("view1.jpg", "p1")])
    #expect(ListOverlap(first, flat).images == ["view1.jpg"])
    #expect(ListOverlap(second, flat).patients == [])
    #expect(ListOverlap(flat, table([("a.png", nil)])).isEmpty)
    #expect(first.patientCount == 2)
  }

  /// As counted by the maintainers of both lists' copies: `facts/chestxray14.md`, 5.2, and `comm` of the sorted names.
  @Test(.enabled(if: realChestXray14 != nil)) func `the official test list and the 70/10/20 training list share these`() throws {
    let data = try #require(realChestXray14)
    let train = try LabelTable(list: data + "/labels/train_list.txt")
    let test = try LabelTable(list: data + "/official/test_list.txt", labels: data + "/Data_Entry_2017_v2020.csv")
    let overlap = ListOverlap(train, test)
    #expect(overlap.images.count == 17_920 && test.samples.count == 25_596)
    #expect(overlap.patients.count == 1_901 && test.patientCount == 2_797)
  }
}
