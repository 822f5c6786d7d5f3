import Platform
import TestSupport
import Testing

@testable import WeightFormats

@Suite struct KerasFileTests {
  @Test(arguments: [
    "fixed-strings", "variable-strings", "version-110", "chunked", "split-names", "whole-model", "half",
  ])
  func `reads what h5py wrote in the layout of Keras`(name: String) throws {
    let file = try WeightFile.open(path: fixture("weight-files/keras/\(name).h5"))
    #expect(file.format == .keras)
    #expect(file.metadata("keras_version") == "2.2.4")
    #expect(
      file.entries.filter { $0.layer == nil }.map(\.name)
        == (name == "whole-model" ? ["optimizer_weights/Adam/m:0"] : []))
    try expectContents(of: file)
  }

  @Test(arguments: [
    ("too-deep", WeightFault.keras(.tooDeep(limit: 16))), ("soft-link", .keras(.unsafeLink("link"))),
    ("external-link", .keras(.unsafeLink("link"))), ("external-storage", .keras(.foreignStorage("outside"))),
    ("virtual-dataset", .keras(.foreignStorage("virtual"))),
    ("bomb", .keras(.bomb("huge", declared: 1 << 42, stored: 0))),
    ("unknown-filter", .keras(.unknownFilter("scaled", filter: 6))),
    ("unsupported-type", .keras(.unsupportedType("texts"))),
    ("missing-weight", .keras(.missingWeight("bn/bn/gamma:0"))), ("no-layer-names", .keras(.noLayerNames)),
    ("malformed-attribute", .keras(.malformedAttribute("layer_names"))),
    ("truncated", .keras(.damaged(doing: "opening"))),
    ("keras3-weights", .format(.keras3Weights)),
  ])
  func `refuses a file that lies or is something else`(name: String, fault: WeightFault) {
    let path = fixture("weight-files/keras/\(name).h5")
    #expect(throws: WeightFormatError(path: path, fault: fault)) { try WeightFile.open(path: path) }
  }

  @Test func `links out of the file, foreign storage and bombs are unsafe`() {
    for fault in [KerasFault.unsafeLink("a"), .foreignStorage("a"), .bomb("a", declared: 1, stored: 0)] {
      #expect(fault.diagnosis.exit == .unsafeFile)
    }
  }

  @Test func `a truncated file is an error wherever it ends`() throws {
    try expectTruncationsRefused(of: fixture("weight-files/keras/version-110.h5"))
  }
}
