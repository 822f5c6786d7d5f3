import Engine
import Foundation
import Platform
import Tensors
import TestSupport
import Testing
import WeightFormats

@testable import Checkpoints

@Suite struct CheckpointTests {
  static let architecture = DenseNetArchitecture(
    growthRate: 2, blockSizes: [1, 2], initialFeatures: 4, classCount: 3, batchNormEpsilon: 1.001e-5,
    batchNormMomentum: 0.01, hasFinalReLU: false)

  static func checkpoint(seed: UInt64 = 1) -> Checkpoint {
    Checkpoint(
      weights: Weights(initializing: architecture, seed: seed),
      metadata: CheckpointMetadata(
        architecture: architecture, classes: ["Mass", "Hernia", "Ödem"],
        preprocessing: Preprocessing(
          geometry: .resize(size: 32), mean: [0.5, 0.4, 0.3], deviation: [0.2, 0.2, 0.1]),
        source: .init(name: "weights.pt", sha256: "ab"), trainedOn: [.init(name: "train.txt", sha256: "cd")],
        notes: ["one", "one"]))
  }

  @Test func `loads what it saved, and saves the same bytes again`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = Self.checkpoint()
      try checkpoint.save(to: folder + "/one.safetensors", overwriting: false)
      let loaded = try Checkpoint.load(path: folder + "/one.safetensors")
      #expect(loaded == checkpoint)
      try loaded.save(to: folder + "/two.safetensors", overwriting: false)
      #expect(
        try FileReader.contents(of: folder + "/one.safetensors") == FileReader.contents(of: folder + "/two.safetensors")
      )
      #expect(throws: CheckpointError.platform(.exists(path: folder + "/one.safetensors"))) {
        try checkpoint.save(to: folder + "/one.safetensors", overwriting: false)
      }
      try Self.checkpoint(seed: 2).save(to: folder + "/one.safetensors", overwriting: true)
    }
  }

  @Test func `the digest is that of the file's data, and independent of the metadata`() throws {
    try inTemporaryFolder { folder in
      var checkpoint = Self.checkpoint()
      let path = folder + "/a.safetensors"
      try checkpoint.save(to: path, overwriting: false)
      let bytes = try FileReader.contents(of: path)
      let header = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
      #expect(SHA256.hex(of: Array(bytes[(8 + header)...])) == checkpoint.tensorDigest)
      let digest = checkpoint.tensorDigest
      checkpoint.metadata.notes = []
      #expect(checkpoint.tensorDigest == digest)
      checkpoint.weights.values[0] += 1
      #expect(checkpoint.tensorDigest != digest)
    }
  }

  @Test func `writes torchvision's names and not num_batches_tracked`() throws {
    try inTemporaryFolder { folder in
      try Self.checkpoint().save(to: folder + "/a", overwriting: false)
      let file = try WeightFile.open(path: folder + "/a")
      #expect(file.entries.first?.name == "features.conv0.weight")
      #expect(file.entries.map(\.name) == ParameterLayout(Self.architecture).parameters.map(\.name))
      #expect(file.metadata("format") == "pt")
      #expect(file.metadata("chexnet.version") == "1")
      #expect(file.metadata("chexnet.classes") == #"["Mass","Hernia","Ödem"]"#)
    }
  }

  /// What is done to a checkpoint's tensors and metadata before it is written, and the error that loading must give.
  private func expect(
    _ error: (String) -> CheckpointError, sourceLocation: SourceLocation = #_sourceLocation,
    _ change: (inout [(name: String, tensor: HostTensor)], inout [String: String]) -> Void
  ) throws {
    try inTemporaryFolder { folder in
      let checkpoint = Self.checkpoint()
      var tensors = checkpoint.weights.layout.parameters.map {
        (name: $0.name, tensor: HostTensor(checkpoint.weights[$0], shape: $0.shape))
      }
      let texts = checkpoint.metadata.texts(tensorDigest: checkpoint.tensorDigest)
      var metadata = Dictionary(uniqueKeysWithValues: texts.map { ($0.key, $0.value) })
      change(&tensors, &metadata)
      let path = folder + "/a.safetensors"
      try Safetensors.write(
        tensors: tensors, metadata: metadata.map { ($0.key, $0.value) }, to: path, overwriting: false)
      #expect(throws: error(path), sourceLocation: sourceLocation) { try Checkpoint.load(path: path) }
    }
  }

  @Test func `refuses weights of another tool and says how to import them`() throws {
    try expect({ .foreign(path: $0) }) { $1 = ["format": "pt"] }
    #expect(CheckpointError.foreign(path: "a.pt").diagnosis.hint?.contains("chexnet import-weights a.pt") == true)
  }

  @Test func `refuses tensors that do not fit the network`() throws {
    let first: Shape = [4, 3, 7, 7]
    try expect({ .missingParameters(path: $0, names: ["features.conv0.weight"]) }) { tensors, _ in tensors.removeFirst()
    }
    try expect({ .unexpectedTensors(path: $0, names: ["more"]) }) { tensors, _ in
      tensors.append(("more", HostTensor([Float(1)], shape: [1])))
    }
    try expect({ .wrongShape(path: $0, name: "features.conv0.weight", expected: first, found: [588]) }) { tensors, _ in
      tensors[0].tensor = HostTensor(tensors[0].tensor.floats(), shape: [588])
    }
    try expect({ .wrongElementType(path: $0, name: "features.conv0.weight", found: .float64) }) { tensors, _ in
      tensors[0].tensor = HostTensor(tensors[0].tensor.doubles(), shape: first)
    }
    try expect({ .wrongDigest(path: $0) }) { tensors, _ in
      var values = tensors[0].tensor.floats()
      values[5] = -values[5]
      tensors[0].tensor = HostTensor(values, shape: first)
    }
  }

  @Test func `refuses a weight that is not a number`() throws {
    try inTemporaryFolder { folder in
      var checkpoint = Self.checkpoint()
      checkpoint.weights.values[3] = .nan
      let path = folder + "/a"
      try checkpoint.save(to: path, overwriting: false)
      #expect(throws: CheckpointError.notFinite(path: path, name: "features.conv0.weight")) {
        try Checkpoint.load(path: path)
      }
    }
  }

  @Test(arguments: MetadataKey.allCases.filter { $0 != .version })
  func `refuses metadata without one of its keys`(key: MetadataKey) throws {
    try expect({ .missingMetadata(path: $0, key: key.rawValue) }) { $1[key.rawValue] = nil }
  }

  @Test(arguments: [
    (MetadataKey.format, "tf", "expected pt"), (.architecture, "{}", "it is no DenseNet"),
    (.architecture, #"{"growth_rate":1000000,"block_sizes":[1],"initial_features":4}"#, "it is no DenseNet"),
    (.inputChannels, "2", "it is no DenseNet"),
    (.inputChannels, "1", "it has another number of channels than the network"),
    (.batchNormEpsilon, "0", "expected a number in 0 … 1"), (.batchNormMomentum, "true", "expected a number"),
    (.finalReLU, "yes", "expected true or false"), (.classes, #"["a","a","b"]"#, "a class stands twice"),
    (.classes, #"["a",1]"#, "expected a list of texts"), (.preprocessing, "{}", "it is none that is known"),
    (.preprocessing, #"{"geometry":"square-resize","size":0,"mean":[0],"deviation":[1]}"#, "it is none that is known"),
    (.source, "[]", "expected a name and a SHA-256"), (.trainedOn, "[1]", "expected names and SHA-256s"),
    (.notes, "[", "malformed JSON at byte 1: the document ends where a value should stand"),
  ])
  func `refuses metadata with a malformed value`(key: MetadataKey, value: String, reason: String) throws {
    let name = key == .inputChannels ? (value == "2" ? .architecture : MetadataKey.preprocessing) : key
    try expect({ .malformedMetadata(path: $0, key: name.rawValue, reason: reason) }) { $1[key.rawValue] = value }
  }

  @Test(arguments: [
    (
      Preprocessing.torchXRayVision(),
      #"{"geometry":"square-resize","size":224,"mean":[0.5],"deviation":[0.00048828125]}"#
    ),
    (
      Preprocessing(geometry: .resize(size: 9), mean: [0], deviation: [1]),
      #"{"geometry":"resize","size":9,"mean":[0.0],"deviation":[1.0]}"#
    ),
    (
      Preprocessing(geometry: .centerCrop(resize: 9, crop: 8), mean: [0], deviation: [1]),
      #"{"geometry":"center-crop","resize":9,"crop":8,"mean":[0.0],"deviation":[1.0]}"#
    ),
  ]) func `a preprocessing is the same text always, and is read again`(preprocessing: Preprocessing, text: String)
    throws
  {
    #expect(preprocessing.json.text() == text)
    #expect(Preprocessing(try JSONValue.parse(text)) == preprocessing)
  }

  @Test func `refuses a newer version`() throws {
    try expect({ .newerVersion(path: $0, version: "2") }) { $1["chexnet.version"] = "2" }
  }

  @Test func `every single flipped bit is noticed`() throws {
    try inTemporaryFolder { folder in
      let path = folder + "/a"
      try Self.checkpoint().save(to: path, overwriting: false)
      let bytes = try FileReader.contents(of: path)
      let good = try Checkpoint.load(path: path)
      // Every 211th bit: prime to 8, so every bit of a byte has its turn.
      for bit in stride(from: 0, to: bytes.count * 8, by: 211) {
        var changed = bytes
        changed[bit / 8] ^= 1 << UInt8(bit % 8)
        try Data(changed).write(to: URL(fileURLWithPath: path))
        if let loaded = try? Checkpoint.load(path: path) {
          // A bit of free text in the header may change what it says, never a weight.
          #expect(loaded.weights.values == good.weights.values, "bit \(bit)")
        }
      }
    }
  }
}
