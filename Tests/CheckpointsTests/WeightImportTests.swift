import Engine
import Platform
import Tensors
import TestSupport
import Testing
import WeightFormats

@testable import Checkpoints

@Suite struct WeightImportTests {
  private static func network(_ name: String) -> String { fixture("weight-files/network/" + name) }

  /// The digest that Python computed over the same network's tensors.
  private func expectedDigest() throws -> String? {
    try JSONValue.parse(FileReader.contents(of: Self.network("expected.json")))["tensors_sha256"]?.string
  }

  @Test(arguments: [
    ("torchvision.pt", "PyTorch, torchvision's names", [String]()),
    (
      "data-parallel-old-names.pth.tar", "PyTorch, torchvision's old names (norm.1)",
      ["state_dict.", "module.", "densenet121."]
    ),
    ("weights.safetensors", "PyTorch, torchvision's names", []),
    ("module.pt", "PyTorch, torchvision's names", []), ("module-stream.pth", "PyTorch, torchvision's names", []),
    ("jrzech.pt", "PyTorch, torchvision's names", ["model."]),
    ("jrzech-torch-03.pth", "PyTorch, torchvision's old names (norm.1)", ["model."]),
    (
      "checkpoint-adam-stream.pth.tar", "PyTorch, torchvision's names", ["state_dict.", "module.", "densenet121."]
    ),
    (
      "arnoweng-torch-03.pth.tar", "PyTorch, torchvision's old names (norm.1)",
      ["state_dict.", "module.", "densenet121."]
    ),
    ("monai.pt", "PyTorch, MONAI's names (layers.norm1)", []), ("flat.pt", "PyTorch, torchvision's names", []),
    ("channels-last.pt", "PyTorch, torchvision's names", []),
    (
      "hpu-rsck.pth",
      "PyTorch, convolutions as [R, S, C, K], as the reference implementation saved them on Gaudis in 2022",
      ["module.", "densenet121."]
    ),
    ("keras-old-names.h5", "Keras, names of keras-applications (conv1/conv)", []),
    ("keras3-saved.h5", "Keras, names of Keras 3 (conv1_conv)", []),
    ("keras-nested.h5", "Keras, names of Keras 3 (conv1_conv), inside another model", []),
  ])
  func `one network in every dialect becomes the same weights`(name: String, dialect: String, prefix: [String]) throws {
    let result = try WeightImport.run(path: Self.network(name))
    #expect(try result.checkpoint.tensorDigest == expectedDigest())
    #expect(result.report.dialect == dialect)
    #expect(result.report.prefix == prefix)
    let architecture = result.checkpoint.metadata.architecture
    #expect(architecture.name == "2:2,1")
    #expect(architecture.batchNormEpsilon == (name.hasSuffix(".h5") ? 1.001e-5 : 1e-5))
    #expect(architecture.batchNormMomentum == (name.hasSuffix(".h5") ? 0.01 : 0.1))
    #expect(architecture.hasFinalReLU)
    #expect(result.checkpoint.metadata.classes == ["class_0", "class_1", "class_2"])
    #expect(result.checkpoint.metadata.preprocessing == .imageNet())
    #expect(try result.checkpoint.metadata.source?.sha256 == SHA256.hex(ofFile: Self.network(name)))
  }

  @Test(arguments: [
    ("xrv-module-stream.pt", true), ("xrv-torch-13.pt", true), ("xrv-state.pt", true),
  ])
  func `torchxrayvision's network comes with its preprocessing and its findings`(name: String, hasPoints: Bool) throws {
    let result = try WeightImport.run(path: Self.network(name))
    let expected = try JSONValue.parse(FileReader.contents(of: Self.network("expected-xrv.json")))
    #expect(result.checkpoint.tensorDigest == expected["tensors_sha256"]?.string)
    #expect(result.report.dialect == "PyTorch, torchxrayvision's network")
    #expect(result.checkpoint.metadata.architecture.inputChannels == 1)
    #expect(result.checkpoint.metadata.preprocessing == .torchXRayVision())
    #expect(result.checkpoint.metadata.classes == ClassNames.torchXRayVision)
    #expect(result.report.unused.contains { $0.reason.hasPrefix("operating points") } == hasPoints)
  }

  @Test func `a module of an unknown class is read only when told to`() throws {
    let path = Self.network("unknown-class.pt")
    let refused = #expect(throws: CheckpointError.self) { try WeightImport.run(path: path) }
    #expect(refused?.diagnosis.id == "pickle.unknown-global")
    #expect(refused?.diagnosis.exit == .unsafeFile)
    let result = try WeightImport.run(path: path, options: ImportOptions(reading: .init(allowModulePickle: true)))
    #expect(try result.checkpoint.tensorDigest == expectedDigest())
    #expect(result.report.warnings.contains { $0.contains("__main__.Net") })
  }

  @Test func `an imported checkpoint saves, loads and imports again as it is`() throws {
    try inTemporaryFolder { folder in
      let options = ImportOptions(classes: "a,b,c", preprocessing: .resize)
      let checkpoint = try WeightImport.run(path: Self.network("keras-nested.h5"), options: options).checkpoint
      try checkpoint.save(to: folder + "/a", overwriting: false)
      #expect(try Checkpoint.load(path: folder + "/a") == checkpoint)
      let again = try WeightImport.run(path: folder + "/a").checkpoint
      #expect(again.weights == checkpoint.weights)
      #expect(again.metadata.architecture == checkpoint.metadata.architecture)
      #expect(again.metadata.classes == ["a", "b", "c"])
      #expect(again.metadata.preprocessing.geometry == .resize(size: 224))
    }
  }

  @Test func `the report accounts for every tensor`() throws {
    let path = Self.network("data-parallel-old-names.pth.tar")
    let report = try WeightImport.run(path: path).report
    #expect(report.rows.count == 47)
    #expect(report.usedCount == 46)
    #expect(report.unused.map(\.reason) == ["state of the optimizer or of the training program"])
    #expect(report.rows.first?.use == .parameter("features.conv0.weight"))
    #expect(report.rows.last?.entry.name == "optimizer.state.1.exp_avg")
    #expect(
      report.text == """
        imported data-parallel-old-names.pth.tar (torch, SHA-256 \(try SHA256.hex(ofFile: path)))
          dialect       PyTorch, torchvision's old names (norm.1)
          prefix        state_dict. module. densenet121.
          network       2:2,1, 3 channels, epsilon 1e-05, momentum 0.1, final ReLU
          classes       3: class_0, class_1, class_2
          preprocessing center-crop 256 → 224
          tensors       46 used (32 under another name), 1 not used
            1 × state of the optimizer or of the training program
          weights       SHA-256 \(try expectedDigest() ?? "")

        """)
    #expect(report.json["tensors"]?.array?.count == 47)
    #expect(report.json["tensors"]?[0]?["parameter"] == "features.conv0.weight")
  }

  @Test func `a new head replaces only the classifier`() throws {
    let path = Self.network("torchvision.pt")
    let old = try WeightImport.run(path: path).checkpoint
    let result = try WeightImport.run(path: path, options: ImportOptions(head: .new, seed: 7))
    let new = result.checkpoint
    #expect(new.metadata.classes == ClassNames.chestXray14)
    for parameter in new.weights.layout.parameters where !parameter.name.hasPrefix("classifier.") {
      let same = try #require(old.weights.layout[parameter.name])
      #expect(new.weights[parameter] == old.weights[same])
    }
    var expected = new.weights
    expected.reinitializeHead(seed: 7)
    #expect(new.weights == expected)
    #expect(result.report.unused.map(\.count) == [9, 2])
  }

  @Test func `inspecting lists what a file holds`() throws {
    let listing = try WeightListing(path: Self.network("data-parallel-old-names.pth.tar"))
    #expect(listing.rows.count == 47)
    #expect(
      listing.text.contains(
        "  epoch = 5\n  best_loss = 0.2\n  state_dict.module.densenet121.features.conv0.weight  F32  [4, 3, 7, 7]  min "
      ))
    #expect(listing.text.contains("  global collections.OrderedDict (weights)\n"))
    #expect(listing.danger == .none)
    #expect(listing.json["metadata"]?["epoch"] == "5")
  }

  // MARK: - Changed files

  /// The tensors of the network that Python wrote, changed by `change` and written again; then `body` with the file's path.
  private func withChanged(
    _ change: (inout [(name: String, tensor: HostTensor)]) -> Void, _ body: (String) throws -> Void
  ) throws {
    let tensors = try WeightFile.open(path: Self.network("weights.safetensors")).tensors()
    var list: [(name: String, tensor: HostTensor)] = []
    tensors.forEach { list.append(($0, $1)) }
    change(&list)
    try inTemporaryFolder { folder in
      try Safetensors.write(tensors: list, metadata: [], to: folder + "/changed", overwriting: false)
      try body(folder + "/changed")
    }
  }

  private func expect(
    _ error: (String) -> CheckpointError, options: ImportOptions = ImportOptions(),
    sourceLocation: SourceLocation = #_sourceLocation,
    _ change: (inout [(name: String, tensor: HostTensor)]) -> Void
  ) throws {
    try withChanged(change) { path in
      #expect(throws: error(path), sourceLocation: sourceLocation) {
        try WeightImport.run(path: path, options: options)
      }
    }
  }

  private static let dotted: @Sendable (String) -> String = { name in
    var parts = name.split(separator: ".").map(String.init)
    if parts.count > 4, parts[2].hasPrefix("denselayer") { parts.insert("layers", at: 3) }
    return parts.joined(separator: ".").replacing("classifier.", with: "class_layers.out.")
  }

  @Test(
    arguments: [
      { "module." + $0 }, { "_orig_mod.module." + $0 }, { "model_state.module.model." + $0 }, { "densenet169." + $0 },
      { "model.backbone.net." + $0 }, { "student." + $0 }, { $0.replacing("classifier.", with: "classifier.1.") },
      { $0.replacing("classifier.", with: "head.") },
      { ($0.hasPrefix("features") ? "backbone." : "fc.") + $0.replacing("classifier.", with: "") },
      dotted,
    ] as [@Sendable (String) -> String])
  func `wrappers and other heads' names come off`(rename: @Sendable (String) -> String) throws {
    try withChanged {
      for index in $0.indices { $0[index].name = rename($0[index].name) }
    } _: { path in
      let result = try WeightImport.run(path: path)
      #expect(try result.checkpoint.tensorDigest == expectedDigest())
    }
  }

  private func rename(_ list: inout [(name: String, tensor: HostTensor)], _ name: (String) -> String) {
    for index in list.indices { list[index].name = name(list[index].name) }
  }

  @Test func `refuses files that do not hold one DenseNet`() throws {
    let ones = HostTensor([Float(1), 1], shape: [2])
    try expect({ .noDenseNet(path: $0, examples: ["layer1.weight"]) }) { $0 = [("layer1.weight", ones)] }
    try expect({ .severalNetworks(path: $0, prefixes: ["student.", "teacher."]) }) { list in
      list = list.map { ("student." + $0.name, $0.tensor) } + list.map { ("teacher." + $0.name, $0.tensor) }
    }
    try expect({ .unknownPrefix(path: $0, prefix: "resnet.") }) { self.rename(&$0) { "resnet." + $0 } }
    try expect({ .tensorFaults(path: $0, TensorFaults(missing: ["features.norm5.bias"])) }) {
      $0.removeAll { $0.name == "features.norm5.bias" }
    }
    try expect({ .tensorFaults(path: $0, TensorFaults(unexpected: ["features.attention.weight", "pos_weight"])) }) {
      $0 += [("features.attention.weight", ones), ("pos_weight", ones)]
    }
    try expect({ .twoSources(path: $0, parameter: "classifier.bias", names: ["classifier.bias", "fc.bias"]) }) {
      $0.append(("fc.bias", ones))
    }
    try expect({ .noHead(path: $0) }) { $0.removeAll { $0.name.hasPrefix("classifier.") } }
  }

  /// Replaces one tensor.
  private func put(_ tensor: HostTensor, _ name: String, _ list: inout [(name: String, tensor: HostTensor)]) {
    for index in list.indices where list[index].name == name { list[index].tensor = tensor }
  }

  @Test func `refuses tensors that do not fit the network`() throws {
    let name = "features.norm5.bias"
    let misshaped = TensorFaults.Misshaped(name: name, expected: [6], found: [5])
    try expect({ .tensorFaults(path: $0, TensorFaults(misshaped: [misshaped])) }) {
      self.put(HostTensor([Float](repeating: 1, count: 5), shape: [5]), name, &$0)
    }
    try expect({ .wrongElementType(path: $0, name: name, found: .int64) }) {
      self.put(HostTensor([Int64](repeating: 1, count: 6), shape: [6]), name, &$0)
    }
    for bad in [Float.nan, .infinity] {
      try expect({ .notFinite(path: $0, name: name) }) {
        self.put(HostTensor([1, 1, bad, 1, 1, 1], shape: [6]), name, &$0)
      }
    }
    func stem(_ shape: Shape) -> HostTensor { HostTensor([Float](repeating: 1, count: shape.count), shape: shape) }
    try expect({ .unsupportedChannels(path: $0, channels: 2) }) {
      self.put(stem([4, 2, 7, 7]), "features.conv0.weight", &$0)
    }
    try expect({ .unknownPreprocessing(path: $0, channels: 1) }) {
      self.put(stem([4, 1, 7, 7]), "features.conv0.weight", &$0)
    }
    try expect({ .unusualArchitecture(path: $0, reason: "its first convolution is not two-dimensional") }) {
      self.put(stem([4, 3, 7, 7, 7]), "features.conv0.weight", &$0)
    }
    // Shapes without elements cost nothing in a file, so their extents may be anything.
    try expect({
      .unusualArchitecture(path: $0, reason: "growth 4611686018427387904, blocks [2, 1], stem 4, 3 classes")
    }) {
      self.put(
        HostTensor([Float](), shape: [1 << 62, 0, 3, 3]), "features.denseblock1.denselayer1.conv2.weight", &$0)
    }
  }

  @Test func `doubles become floats and the report says so`() throws {
    try withChanged { list in
      for index in list.indices where list[index].tensor.elementType == .float32 {
        list[index].tensor = HostTensor(list[index].tensor.doubles(), shape: list[index].tensor.shape)
      }
    } _: { path in
      let result = try WeightImport.run(path: path)
      #expect(try result.checkpoint.tensorDigest == expectedDigest())
      #expect(result.report.metadata.notes == ["46 tensors were F64 and are now F32"])
    }
  }

  // MARK: - Options

  @Test(arguments: [
    ("a,b,c", ["a", "b", "c"]), ("3", ["class_0", "class_1", "class_2"]), (" a b , c,d,", ["a b", "c", "d"]),
  ])
  func `takes classes as a list or a number`(text: String, names: [String]) throws {
    let result = try WeightImport.run(path: Self.network("torchvision.pt"), options: ImportOptions(classes: text))
    #expect(result.checkpoint.metadata.classes == names)
  }

  @Test func `refuses classes that do not fit or are unknown`() throws {
    let path = Self.network("torchvision.pt")
    #expect(throws: CheckpointError.classCount(path: path, requested: 14, outputs: 3)) {
      try WeightImport.run(path: path, options: ImportOptions(classes: "chestxray14"))
    }
    let typo = #expect(throws: CheckpointError.self) { try ClassNames.parse("chestxray") }
    #expect(typo?.diagnosis.hint == "did you mean chestxray14?")
    #expect(typo?.diagnosis.exit == .usage)
    #expect(throws: CheckpointError.self) { try ClassNames.parse("a,,b") }
    #expect(throws: CheckpointError.self) { try ClassNames.parse("a,a") }
    #expect(try ClassNames.parse("Pneumonia,") == ["Pneumonia"])
  }

  @Test func `preprocessing fits the network's channels`() throws {
    let path = Self.network("torchvision.pt")
    let result = try WeightImport.run(path: path, options: ImportOptions(preprocessing: .xrv))
    let three = Preprocessing(
      geometry: .squareResize(size: 224), mean: [0.5, 0.5, 0.5], deviation: [1 / 2048, 1 / 2048, 1 / 2048])
    #expect(result.checkpoint.metadata.preprocessing == three)
    #expect(result.report.text.contains("\n  preprocessing square 224, as torchxrayvision\n"))
    let scaled = try WeightImport.run(path: path, options: ImportOptions(mean: [0.5], deviation: [0.25, 0.5, 1]))
    #expect(scaled.checkpoint.metadata.preprocessing.mean == [0.5, 0.5, 0.5])
    #expect(scaled.checkpoint.metadata.preprocessing.deviation == [0.25, 0.5, 1])
    let stem = HostTensor([Float](repeating: 1, count: 4 * 7 * 7), shape: [4, 1, 7, 7])
    try withChanged {
      self.put(stem, "features.conv0.weight", &$0)
    } _: { path in
      let xrv = try WeightImport.run(path: path, options: ImportOptions(preprocessing: .xrv))
      #expect(xrv.checkpoint.metadata.preprocessing == .torchXRayVision())
      let own = try WeightImport.run(path: path, options: ImportOptions(mean: [0], deviation: [1]))
      #expect(own.checkpoint.metadata.preprocessing.geometry == .centerCrop(resize: 256, crop: 224))
      for choice in [nil, ImportOptions.PreprocessingChoice.centerCrop, .resize] {
        let options = ImportOptions(preprocessing: choice)
        #expect(throws: CheckpointError.unknownPreprocessing(path: path, channels: 1)) {
          try WeightImport.run(path: path, options: options)
        }
      }
    }
  }

  @Test func `standard classes follow the number of outputs`() {
    #expect(ClassNames.standard(outputs: 14).last == "Hernia")
    #expect(ClassNames.standard(outputs: 18).last == "Enlarged Cardiomediastinum")
    #expect(ClassNames.standard(outputs: 1000).last == "imagenet_999")
  }

  @Test func `the final ReLU can be said`() throws {
    for (choice, has) in [(ImportOptions.FinalReLU.yes, true), (.no, false)] {
      for file in ["keras-nested.h5", "torchvision.pt"] {
        let result = try WeightImport.run(path: Self.network(file), options: ImportOptions(finalReLU: choice))
        #expect(result.checkpoint.metadata.architecture.hasFinalReLU == has)
      }
    }
  }

  @Test(
    arguments: [
      ("2.1.4", "predictions", false), ("2.2.2", "dense_1", false), ("2.2.3", "predictions", true),
      ("2.2.4-tf", "predictions", true), ("3.15.1", "predictions", true), (nil, "predictions", true),
      // The published ImageNet weights, with and without head.
      ("2.0.8", "fc1000", true), ("2.0.8", nil, true),
    ] as [(String?, String?, Bool)])
  func `whether Keras' DenseNet ends in a ReLU follows from who trained it`(
    version: String?, headLayer: String?, expected: Bool
  ) {
    let (hasFinalReLU, note) = KerasDialect.finalReLU(.automatic, version: version, headLayer: headLayer)
    #expect(hasFinalReLU == expected)
    #expect(note.contains("--final-relu"))
  }

  @Test func `a damaged checkpoint of ours is not imported`() throws {
    try inTemporaryFolder { folder in
      var checkpoint = try WeightImport.run(path: Self.network("torchvision.pt")).checkpoint
      try checkpoint.save(to: folder + "/a", overwriting: false)
      checkpoint.weights.values[0] += 1
      let tensors = checkpoint.weights.layout.parameters.map {
        (name: $0.name, tensor: HostTensor(checkpoint.weights[$0], shape: $0.shape))
      }
      try Safetensors.write(
        tensors: tensors, metadata: WeightFile.open(path: folder + "/a").metadata, to: folder + "/b", overwriting: false
      )
      #expect(throws: CheckpointError.wrongDigest(path: folder + "/b")) { try WeightImport.run(path: folder + "/b") }
    }
  }
}
