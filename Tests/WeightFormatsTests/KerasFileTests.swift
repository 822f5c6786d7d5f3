import Platform
import TestSupport
import Testing

@testable import WeightFormats

@Suite struct KerasFileTests {
  @Test(arguments: [
    "fixed-strings", "variable-strings", "version-110", "chunked", "split-names", "whole-model", "half",
    "foreign-numbers", "hard-links",
  ])
  func `reads what h5py wrote in the layout of Keras`(name: String) throws {
    let file = try WeightFile.open(path: fixture("weight-files/keras/\(name).h5"))
    #expect(file.format == .keras)
    #expect(file.metadata("keras_version") == "2.2.4")
    #expect(
      file.entries.filter { $0.layer == nil }.map(\.name)
        == (["whole-model": ["optimizer_weights/Adam/m:0"], "hard-links": ["again"]][name] ?? []))
    try expectContents(of: file)
  }

  @Test func `says which layer each weight is of, and its place there`() throws {
    let file = try WeightFile.open(path: fixture("weight-files/keras/fixed-strings.h5"))
    #expect(file.entries.map(\.layer) == ["conv1/conv", "bn", "bn"])
    #expect(file.entries.map(\.place) == [0, 0, 1])
  }

  @Test(arguments: [
    ("too-deep", WeightFault.keras(.tooDeep(limit: 16))), ("soft-link", .keras(.unsafeLink("link"))),
    ("external-link", .keras(.unsafeLink("link"))), ("external-storage", .keras(.foreignStorage("outside"))),
    ("virtual-dataset", .keras(.foreignStorage("virtual"))),
    ("bomb", .keras(.bomb("huge", declared: 1 << 42, stored: 0))),
    ("unknown-filter", .keras(.unknownFilter("scaled", filter: 6))),
    ("fletcher32", .keras(.unknownFilter("summed", filter: 3))),
    ("unsupported-type", .keras(.unsupportedType("texts"))),
    ("missing-weight", .keras(.missingWeight("bn/bn/gamma:0"))), ("no-layer-names", .keras(.noLayerNames)),
    ("malformed-attribute", .keras(.malformedAttribute("layer_names"))),
    ("truncated", .keras(.damaged(doing: "opening"))),
    ("user-block", .format(.unknown(firstBytes: Array("PREFIX  ".utf8)))),
    ("hard-link-cycle", .keras(.tooDeep(limit: 16))), ("hard-link-tree", .keras(.tooManyObjects(limit: 20_000))),
    ("without-variables", .keras(.noLayerNames)), ("crashes-libhdf5", .keras(.readerCrashed(signal: 11))),
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

  @Test func `a fault is the same on the other side of the socket`() throws {
    let faults: [KerasFault] = [
      .damaged(doing: "a"), .noLayerNames, .malformedAttribute("a"), .missingWeight("\u{1}ü\""), .unsafeLink("a"),
      .foreignStorage("a"), .unknownFilter("a", filter: -1), .unsupportedType("a"),
      .bomb("a", declared: .max, stored: 0), .tooManyObjects(limit: 1), .tooDeep(limit: 2), .tooLongNames(limit: 3),
      .tooLarge("a", bytes: .max, limit: 4), .userBlock(bytes: 512), .malformedRecord("a", reason: "b"),
      .readerCrashed(signal: 11), .readerExited(status: 1), .readerStalled(seconds: 30),
      .readerUnbelievable(reason: "a"), .unconfined(doing: "a", errno: 38), .noLibrary(reason: "a"),
    ]
    for fault in faults { #expect(KerasFault(try JSONValue.parse(fault.json.text())) == fault) }
    for text in ["[]", "{}", "null", "[\"no such\"]", "[\"bomb\",\"a\",1]", "[\"damaged\"]"] {
      #expect(KerasFault(try JSONValue.parse(text)) == nil)
    }
  }
}

@Suite struct Keras3FileTests {
  private func open(_ name: String) throws -> WeightFile {
    try WeightFile.open(path: fixture("weight-files/keras3/\(name)"))
  }

  @Test(arguments: [
    "flat.weights.h5", "nested.weights.h5", "without-names.weights.h5", "checkpoint-dependencies.weights.h5",
    "bfloat16.weights.h5", "nested.keras", "deflated.keras", "without-names.keras",
  ])
  func `reads what Keras 3 wrote`(name: String) throws {
    let file = try open(name)
    #expect(file.format == .keras3)
    #expect(file.metadata("keras_version") == (name.hasSuffix(".keras") ? "3.15.1" : nil))
    try expectContents(of: file)
  }

  /// Names, layers and places of the entries, a line each.
  private func lines(of file: WeightFile) -> [String] {
    file.entries.map { "\($0.name) \($0.layer ?? "-") \($0.place.map(String.init) ?? "-")" }
  }

  private static let nested = [
    "layers/dense/vars/0 findings 0", "layers/dense/vars/1 findings 1",
    "layers/functional/layers/batch_normalization/vars/0 conv1_bn 0",
    "layers/functional/layers/batch_normalization/vars/1 conv1_bn 1",
    "layers/functional/layers/batch_normalization/vars/2 conv1_bn 2",
    "layers/functional/layers/batch_normalization/vars/3 conv1_bn 3",
    "layers/functional/layers/conv2d/vars/0 conv1_conv 0", "layers/functional/layers/conv2d_1/vars/0 pool2_conv 0",
  ]

  @Test(arguments: ["nested.weights.h5", "nested.keras", "deflated.keras", "without-names.keras"])
  func `names layers by what Keras wrote in the groups, or by the config`(name: String) throws {
    let lines = try lines(of: open(name))
    #expect(Array(lines.prefix(8)) == Self.nested)
    // 2 counters, then 2 moments of each of the 6 trained variables, by number and not by text.
    #expect(lines.dropFirst(8) == (0..<14).map { "optimizer/vars/\($0) - \($0)" }[...])
  }

  @Test func `without names, a layer is its group`() throws {
    #expect(
      try lines(of: open("without-names.weights.h5")).prefix(3) == [
        "layers/dense/vars/0 layers/dense 0", "layers/dense/vars/1 layers/dense 1",
        "layers/functional/layers/batch_normalization/vars/0 layers/functional/layers/batch_normalization 0",
      ])
  }

  @Test(arguments: [
    ("BatchNormalization", "batch_normalization"), ("Conv2D", "conv2d"), ("ReLU", "re_lu"), ("Dense", "dense"),
    ("GlobalAveragePooling2D", "global_average_pooling2d"), ("ZeroPadding2D", "zero_padding2d"), ("LSTM", "lstm"),
    ("My>Layer", "my_layer"),
  ])
  func `writes the names of classes as Keras does`(name: String, snake: String) {
    #expect(KerasLayerNames.snakeCase(name) == snake)
  }

  @Test(arguments: [
    (
      "malformed-config.keras",
      WeightFault.keras(
        .malformedRecord(
          "config.json", reason: "malformed JSON at byte 5: the document ends where a value should stand"))
    ),
    ("user-block.keras", .keras(.userBlock(bytes: 512))),
    ("not-hdf5.keras", .keras(.damaged(doing: "opening"))),
    ("wrong-checksum.keras", .zip(.wrongChecksum(entry: "model.weights.h5"))),
    ("sharded.keras", .format(.shardIndex)),
  ])
  func `refuses an archive that lies`(name: String, fault: WeightFault) {
    let path = fixture("weight-files/keras3/\(name)")
    #expect(throws: WeightFormatError(path: path, fault: fault)) { try WeightFile.open(path: path) }
  }
}
