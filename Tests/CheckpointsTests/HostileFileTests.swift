import Foundation
import Platform
import TestSupport
import Testing

@testable import Checkpoints

/// Files that would harm whoever loads them without care: each is refused, for the right reason, at once, and nothing happens.
@Suite struct HostileFileTests {
  private static let folder = fixture("weight-files/hostile")

  /// The diagnosis of each file; those without a row ask for a function that harms.
  private static let diagnoses: [String: [String]] = [
    "pickle.limit": [
      "bomb-containers.pt", "bomb-duplicates.pt", "bomb-globals.pt", "bomb-marks.pt", "bomb-memo.pt",
      "bomb-operations.pt", "bomb-ordered-copies.pt", "huge-line.pt",
    ],
    "torch.too-many-values": [
      "bomb-attributes.pt", "bomb-depth-of-lists.pt", "bomb-depth.pt", "bomb-laughs-in-tuples.pt", "bomb-laughs.pt",
    ],
    "torch.too-much-text": ["bomb-long-names.pt"],
    "weights.no-densenet": ["bomb-itself.pt"],
    "pickle.truncated": [
      "huge-bytes-8.pt", "huge-bytes.pt", "huge-frame.pt", "huge-integer-negative.pt", "huge-integer.pt",
      "huge-string-negative.pt", "huge-text-8-negative.pt", "huge-text-8.pt", "huge-text.pt",
    ],
    "pickle.malformed-text": ["huge-digits.pt"],
    "pickle.missing-memo": ["huge-memo.pt"],
    "pickle.malformed-tensor": ["huge-size.pt"],
    "pickle.malformed-storage": ["huge-storage.pt"],
    "torch.wrong-storage-size": ["huge-storage-of-bytes.pt", "huge-stream-count.pth"],
    "torch.truncated": ["huge-stream-storage.pth"],
    "pickle.unsupported-opcode": ["place-as-extension.pt", "place-as-persistent-text.pt"],
    "pickle.trailing-bytes": ["place-behind-the-end.pt"],
    "weights.text": ["plain-pickle-0.pkl"],
    "weights.unknown": [
      "plain-pickle.pkl", "safetensors-length.safetensors", "stream-magic.pth", "stream-magic-behind.pth",
      "zip-pickle-and-zip.pt",
    ],
    "weights.torch-tar": ["zip-tar-and-zip.pt"],
    "weights.png": ["zip-png-and-zip.pt"],
    "zip.gap": ["zip-zip-and-zip.pt"],
    "zip.truncated": ["zip-zip-and-pickle.pt"],
    "zip.duplicate-name": ["zip-same-name.pt"],
    "zip.local-mismatch": ["zip-other-name-inside.pt"],
    "zip.encrypted": ["zip-encrypted-flag.pt", "zip-strong-encryption-flag.pt", "zip-patch-flag.pt"],
    "zip.wrong-checksum": ["zip-wrong-checksum.pt"],
    "zip.unsafe-name": ["zip-traversal.pt"],
    "zip.symbolic-link": ["zip-symlink.pt"],
    "zip.bomb": ["zip-bomb.pt"],
    "torch.hidden-pickle": ["zip-second-pickle.pt"],
    "torch.several-roots": ["zip-second-root.pt"],
    "safetensors.trailing-bytes": ["safetensors-code-behind.safetensors", "safetensors-zip-behind.safetensors"],
    "safetensors.malformed-header": [
      "safetensors-deep-objects.safetensors", "safetensors-deep.safetensors", "safetensors-escaped-key.safetensors",
      "safetensors-not-utf-8.safetensors", "safetensors-number.safetensors", "safetensors-same-key.safetensors",
      "safetensors-surrogate.safetensors",
    ],
    "safetensors.malformed-entry": ["safetensors-fraction.safetensors", "safetensors-offsets-negative.safetensors"],
    "safetensors.header-too-long": ["safetensors-length-limit.safetensors"],
    "safetensors.truncated": ["safetensors-length-of-file.safetensors", "safetensors-shape-long.safetensors"],
    "safetensors.malformed-metadata": ["safetensors-metadata.safetensors"],
    "safetensors.hole": ["safetensors-offsets.safetensors"],
    "safetensors.overlap": ["safetensors-overlapping.safetensors"],
    "safetensors.shape-overflow": ["safetensors-shape.safetensors", "safetensors-shape-zero.safetensors"],
  ]

  @Test func `every hostile file is refused at once, and nothing of it is run`() throws {
    let expected = Dictionary(
      uniqueKeysWithValues: Self.diagnoses.flatMap { id, names in names.map { ($0, id) } })
    let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder).sorted()
    #expect(names.count >= 60)
    #expect(Set(expected.keys).isSubset(of: names))
    for name in names {
      let start = processorSeconds()
      let error = #expect(throws: CheckpointError.self, "\(name)") {
        try WeightImport.run(path: Self.folder + "/" + name)
      }
      let time = processorSeconds() - start
      #expect(error?.diagnosis.id == expected[name] ?? "pickle.dangerous-global", "\(name)")
      #expect(error?.diagnosis.exit == .unsafeFile || error?.diagnosis.exit == .badData, "\(name)")
      #expect(time < 0.5, "\(name)")
    }
    #expect(!FileManager.default.fileExists(atPath: "/tmp/chexnet-was-here"))
  }

  @Test func `what is too large for a fixture is refused at once`() throws {
    func safetensors(_ header: [UInt8], length: Int? = nil) -> [UInt8] {
      let length = length ?? header.count
      return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + header
    }
    // A million levels; 40,000 tensors on the same four bytes; 100 MB that are declared.
    let deep = Array(#"{"a":"#.utf8) + [UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)
    let entries = (0..<40_000).map { #""\#($0)":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"# }
    let many = Array("{\(entries.joined(separator: ","))}".utf8)
    let files: [(id: String, bytes: [UInt8])] = [
      ("safetensors.malformed-header", safetensors(deep)),
      ("safetensors.overlap", safetensors(many) + [0, 0, 0, 0]),
      ("safetensors.header-too-long", safetensors(many, length: 100_000_000)),
    ]
    try inTemporaryFolder { folder in
      for (id, bytes) in files {
        let path = folder + "/" + id
        try AtomicFile.write(bytes, to: path, overwriting: true)
        let start = processorSeconds()
        let error = #expect(throws: CheckpointError.self) { try WeightImport.run(path: path) }
        #expect(error?.diagnosis.id == id)
        #expect(processorSeconds() - start < 0.5, "\(id)")
      }
    }
  }
}
