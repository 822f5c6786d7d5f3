import Engine
import Platform
import Tensors
import TestSupport
import Testing
import WeightFormats

@testable import Checkpoints

@Suite struct WeightExportTests {
  /// A checkpoint of random weights whose statistics are not the identity, at `folder/checkpoint`.
  private func checkpoint(
    _ architecture: DenseNetArchitecture, _ folder: String, preprocessing: Preprocessing = .imageNet()
  ) throws -> Checkpoint {
    var weights = Weights(initializing: architecture, seed: 3)
    for index in weights.values.indices where weights.values[index] == 0 || weights.values[index] == 1 {
      weights.values[index] = 0.5 + Float(index % 1000) / 1024
    }
    let checkpoint = Checkpoint(
      weights: weights,
      metadata: CheckpointMetadata(
        architecture: architecture, classes: ClassNames.standard(outputs: architecture.classCount),
        preprocessing: preprocessing))
    try checkpoint.save(to: folder + "/checkpoint", overwriting: false)
    return checkpoint
  }

  /// With the constants that importing a file of `format` gives.
  private func architecture(_ text: String, _ format: ExportOptions.Format, classes: Int = 14) throws
    -> DenseNetArchitecture
  {
    var architecture = try #require(DenseNetArchitecture(parsing: text, classCount: classes))
    if format == .keras {
      architecture.batchNormEpsilon = 1.001e-5
      architecture.batchNormMomentum = 0.01
    }
    return architecture
  }

  private static let ways: [ExportOptions] = [
    ExportOptions(format: .torch), ExportOptions(format: .torch, names: .chexnet),
    ExportOptions(format: .safetensors), ExportOptions(format: .safetensors, names: .chexnet),
    ExportOptions(format: .keras),
  ]

  @Test(arguments: ways, [("3:2,1", 3), ("2:1,1,2,1,1", 14), ("densenet121", 18)])
  func `what is exported and imported again is the same network, bit for bit`(
    options: ExportOptions, network: (text: String, classes: Int)
  ) throws {
    try inTemporaryFolder { folder in
      let architecture = try architecture(network.text, options.format, classes: network.classes)
      let checkpoint = try checkpoint(architecture, folder)
      let report = try WeightExport.run(
        path: folder + "/checkpoint", options: options, to: folder + "/out.h5", overwriting: false)
      #expect(report.tensorDigest == checkpoint.tensorDigest)
      #expect(report.weightCount == checkpoint.weights.layout.parameters.count)
      #expect(report.differences.allSatisfy { !$0.contains("weights are exact") })
      let result = try WeightImport.run(path: folder + "/out.h5")
      #expect(result.checkpoint.tensorDigest == checkpoint.tensorDigest)
      #expect(result.checkpoint.metadata.architecture == architecture)
      #expect(result.checkpoint.metadata.classes == checkpoint.metadata.classes)
      #expect(result.report.prefix == (options.names == .chexnet ? ["densenet121."] : []))
      #expect(result.report.rows.count == report.weightCount + report.counterCount)
    }
  }

  @Test(arguments: ways)
  func `the same checkpoint gives the same bytes`(options: ExportOptions) throws {
    try inTemporaryFolder { folder in
      _ = try checkpoint(architecture("2:1,1", options.format), folder)
      for name in ["one", "two"] {
        _ = try WeightExport.run(
          path: folder + "/checkpoint", options: options, to: folder + "/" + name, overwriting: false)
      }
      #expect(try FileReader.contents(of: folder + "/one") == FileReader.contents(of: folder + "/two"))
      #expect(throws: CheckpointError.platform(.exists(path: folder + "/one"))) {
        try WeightExport.run(path: folder + "/checkpoint", options: options, to: folder + "/one", overwriting: false)
      }
    }
  }

  @Test(arguments: [ExportOptions.Format.torch, .safetensors])
  func `PyTorch finds the names of a state_dict, the counters of batches too`(format: ExportOptions.Format) throws {
    try inTemporaryFolder { folder in
      _ = try checkpoint(architecture("2:1,1", format), folder)
      func names(_ names: ExportOptions.Names) throws -> [String] {
        let path = folder + "/" + names.rawValue
        _ = try WeightExport.run(
          path: folder + "/checkpoint", options: ExportOptions(format: format, names: names), to: path,
          overwriting: false)
        let file = try WeightFile.open(path: path)
        let tensors = try file.tensors()
        for name in tensors.names where name.hasSuffix("num_batches_tracked") {
          #expect(tensors[name] == HostTensor([Int64(0)], shape: []))
        }
        return file.entries.map(\.name)
      }
      // safetensors has the wider elements first.
      let torchvision = try names(.torchvision).filter { !$0.hasSuffix("num_batches_tracked") || format == .torch }
      if format == .torch {
        #expect(
          Array(torchvision.prefix(7)) == [
            "features.conv0.weight", "features.norm0.weight", "features.norm0.bias", "features.norm0.running_mean",
            "features.norm0.running_var", "features.norm0.num_batches_tracked",
            "features.denseblock1.denselayer1.norm1.weight",
          ])
      }
      #expect(Array(torchvision.suffix(2)) == ["classifier.weight", "classifier.bias"])
      let reference = try names(.chexnet)
      #expect(reference.allSatisfy { $0.hasPrefix("densenet121.") })
      #expect(Array(reference.suffix(2)) == ["densenet121.classifier.0.weight", "densenet121.classifier.0.bias"])
      #expect(reference.count { $0.hasSuffix(".num_batches_tracked") } == 7)
    }
  }

  @Test func `Keras finds its layers and weights in its order, kernels and dense weights turned`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try checkpoint(architecture("2:1,1", .keras, classes: 3), folder)
      _ = try WeightExport.run(
        path: folder + "/checkpoint", options: ExportOptions(format: .keras), to: folder + "/a.h5", overwriting: false)
      let file = try WeightFile.open(path: folder + "/a.h5")
      var layers: [String] = []
      for entry in file.entries where entry.layer != layers.last { layers.append(entry.layer ?? "none") }
      #expect(
        layers == [
          "conv1_conv", "conv1_bn", "conv2_block1_0_bn", "conv2_block1_1_conv", "conv2_block1_1_bn",
          "conv2_block1_2_conv", "pool2_bn", "pool2_conv", "conv3_block1_0_bn", "conv3_block1_1_conv",
          "conv3_block1_1_bn", "conv3_block1_2_conv", "bn", "predictions",
        ])
      #expect(
        file.entries.prefix(5).map(\.name) == [
          "conv1_conv/conv1_conv/kernel", "conv1_bn/conv1_bn/gamma", "conv1_bn/conv1_bn/beta",
          "conv1_bn/conv1_bn/moving_mean", "conv1_bn/conv1_bn/moving_variance",
        ])
      let tensors = try file.tensors()
      let kernel = try #require(tensors["conv1_conv/conv1_conv/kernel"])
      let weight = checkpoint.weights.layout.parameters[0]
      #expect(weight.shape == [4, 3, 7, 7])
      #expect(kernel.shape == [7, 7, 3, 4])
      // [R, S, C, K] at (5, 6, 2, 1) is [K, C, R, S] at (1, 2, 5, 6).
      let theirs: Int = ((5 * 7 + 6) * 3 + 2) * 4 + 1
      let ours: Int = ((1 * 3 + 2) * 7 + 5) * 7 + 6
      #expect(kernel.floats()[theirs] == checkpoint.weights[weight][ours])
      let dense = try #require(tensors["predictions/predictions/kernel"])
      let classifier = try #require(checkpoint.weights.layout["classifier.weight"])
      let features = classifier.shape[1]
      #expect(dense.shape == Shape([features, 3]))
      #expect(dense.floats()[1 * 3 + 2] == checkpoint.weights[classifier][2 * features + 1])
    }
  }

  @Test func `a safetensors export is no checkpoint, and says what a reader may want to know`() throws {
    try inTemporaryFolder { folder in
      _ = try checkpoint(architecture("2:1,1", .safetensors, classes: 3), folder)
      _ = try WeightExport.run(
        path: folder + "/checkpoint", options: ExportOptions(format: .safetensors), to: folder + "/a",
        overwriting: false)
      #expect(throws: CheckpointError.foreign(path: folder + "/a")) { try Checkpoint.load(path: folder + "/a") }
      let file = try WeightFile.open(path: folder + "/a")
      #expect(file.metadata("format") == "pt")
      #expect(file.metadata("classes") == #"["class_0","class_1","class_2"]"#)
      #expect(file.metadata.allSatisfy { !$0.key.contains("chexnet") })
    }
  }

  @Test(arguments: [
    ("not-there", 66), ("weight-files/network/torchvision.pt", 65), ("weight-files/foreign/empty.pt", 65),
  ])
  func `only a checkpoint is exported`(name: String, exit: Int32) throws {
    try inTemporaryFolder { folder in
      let error = #expect(throws: CheckpointError.self) {
        try WeightExport.run(
          path: fixture(name), options: ExportOptions(format: .torch), to: folder + "/a", overwriting: false)
      }
      #expect(error?.diagnosis.exit.rawValue == exit)
      #expect(!somethingStands(at: folder + "/a"))
    }
  }
}

@Suite struct ExportReportTests {
  private func report(
    _ text: String, _ options: ExportOptions, classes: Int = 14, channels: Int = 3,
    _ change: (inout DenseNetArchitecture) -> Void = { _ in }
  ) throws -> ExportReport {
    var architecture = try #require(
      DenseNetArchitecture(parsing: text, classCount: classes, inputChannels: channels))
    change(&architecture)
    return ExportReport(
      checkpoint: "a.safetensors", output: "out.pt", options: options,
      metadata: CheckpointMetadata(
        architecture: architecture, classes: ClassNames.standard(outputs: classes), preprocessing: .imageNet()),
      weightCount: 606, counterCount: options.format == .keras ? 0 : 121, tensorDigest: "ab")
  }

  @Test func `the text says what was written and how it opens`() throws {
    #expect(
      try report("densenet121", ExportOptions(format: .torch)).text == """
        exported a.safetensors (densenet121, 14 classes)
          format        PyTorch zip archive, torchvision's names
          tensors       727: 606 of the network, 121 × num_batches_tracked
          weights       SHA-256 ab
          opens with    network = torchvision.models.densenet121(num_classes=14); \
        network.load_state_dict(torch.load("out.pt", weights_only=True))

        """)
    #expect(
      try report("4:2,3", ExportOptions(format: .keras)).text == """
        exported a.safetensors (4:2,3, 14 classes)
          format        Keras HDF5 (legacy), Keras' names, by its rule
          tensors       606
          weights       SHA-256 ab

        """)
  }

  @Test(
    arguments: [
      (
        "4:2,3", ExportOptions(format: .safetensors), 3,
        "network = torchvision.models.DenseNet(4, (2, 3), 8, num_classes=14); "
          + #"network.load_state_dict(safetensors.torch.load_file("out.pt"))"#
      ),
      (
        "densenet161", ExportOptions(format: .torch), 1,
        "network = torchvision.models.densenet161(num_classes=14); "
          + "network.features.conv0 = torch.nn.Conv2d(1, 96, 7, 2, 3, bias=False); "
          + #"network.load_state_dict(torch.load("out.pt", weights_only=True))"#
      ),
      (
        "densenet121", ExportOptions(format: .torch, names: .chexnet), 3,
        #"net = model.DenseNet121(14); net.load_state_dict(torch.load("out.pt", weights_only=True))"#
      ),
      ("densenet169", ExportOptions(format: .torch, names: .chexnet), 3, nil),
      (
        "densenet201", ExportOptions(format: .keras), 1,
        "model = keras.applications.DenseNet201(weights=None, input_shape=(224, 224, 1), classes=14, "
          + #"classifier_activation="sigmoid"); model.load_weights("out.pt")"#
      ),
      ("densenet161", ExportOptions(format: .keras), 3, nil),
    ] as [(String, ExportOptions, Int, String?)])
  func `the line of Python fits the network`(
    text: String, options: ExportOptions, channels: Int, line: String?
  ) throws {
    #expect(try report(text, options, channels: channels).openingLine == line)
  }

  @Test func `what the other side computes differently is said exactly`() throws {
    func keras(_ architecture: inout DenseNetArchitecture) {
      architecture.batchNormEpsilon = 1.001e-5
      architecture.batchNormMomentum = 0.01
    }
    #expect(try report("densenet121", ExportOptions(format: .torch)).differences == [])
    #expect(try report("densenet121", ExportOptions(format: .torch, names: .chexnet)).differences == [])
    #expect(try report("densenet121", ExportOptions(format: .keras), keras).differences == [])
    #expect(
      try report("densenet121", ExportOptions(format: .keras)).differences == [
        "batch norms have epsilon 1e-05 here and 1.001e-05 in Keras: the weights are exact, outputs differ unless it is "
          + "set there",
        "trained on, batch norms have momentum 0.99 in Keras and 0.9 here, as Keras counts it",
      ])
    #expect(
      try report("densenet121", ExportOptions(format: .safetensors)) {
        keras(&$0)
        $0.hasFinalReLU = false
      }.differences == [
        "batch norms have epsilon 1.001e-05 here and 1e-05 in torchvision: the weights are exact, outputs differ unless "
          + "it is set there",
        "no ReLU follows the last batch norm here, one does in torchvision: the weights are exact, outputs differ",
        "trained on, batch norms have momentum 0.1 in torchvision and 0.01 here",
      ])
    #expect(
      try report("densenet161", ExportOptions(format: .keras), keras).differences == [
        "keras.applications has no densenet161: the file's layers are named by the rule of those it has, and the network "
          + "there is yours to build"
      ])
    #expect(
      try report("densenet121", ExportOptions(format: .torch, names: .chexnet), classes: 15).differences == [
        "the reference implementation has DenseNet-121 for 3 channels and 14 outputs alone: it does not load this network"
      ])
  }
}
