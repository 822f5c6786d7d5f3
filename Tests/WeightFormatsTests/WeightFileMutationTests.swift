import Foundation
import Platform
import Tensors
import TestSupport
import Testing

@testable import WeightFormats

/// Files that were valid until something in them was changed: 20,000 of each format, the same on every run. None may end the
/// process or take a second; each is refused with a typed error, or holds tensors that can all be read.
@Suite struct WeightFileMutationTests {
  private static let rounds = 20_000

  /// How often what came of it.
  private struct Outcomes {
    var accepted = 0
    var faults: [String: Int] = [:]
  }

  /// Runs `attempt` for every round, with a mutator of its own.
  private func mutate(
    seed: UInt64, _ attempt: (inout Mutator) throws(WeightFault) -> Void
  ) -> Outcomes {
    var outcomes = Outcomes()
    for round in 0..<Self.rounds {
      var mutator = Mutator(seed: seed, round: round)
      let start = processorSeconds()
      do throws(WeightFault) {
        try attempt(&mutator)
        outcomes.accepted += 1
      } catch {
        let diagnosis = error.diagnosis
        if diagnosis.exit != .badData && diagnosis.exit != .unsafeFile {
          Issue.record("seed \(seed), round \(round): \(diagnosis)")
        }
        outcomes.faults[diagnosis.id, default: 0] += 1
      }
      let time = processorSeconds() - start
      if time > 1 { Issue.record("seed \(seed), round \(round) took \(time) s") }
    }
    return outcomes
  }

  /// A file whose bytes are replaced in every round.
  private final class Scratch {
    let path: String
    private let descriptor: Int32

    init(_ folder: String) throws {
      path = folder + "/mutated"
      descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
      try #require(descriptor >= 0)
    }

    deinit { close(descriptor) }

    /// Opens what `bytes` are as a weight file, and reads every tensor.
    @discardableResult
    func read(_ bytes: [UInt8]) throws(WeightFault) -> NamedTensors {
      let written = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
      precondition(written == bytes.count && ftruncate(descriptor, off_t(bytes.count)) == 0, "the scratch file fails")
      do throws(WeightFormatError) {
        let file = try WeightFile.open(path: path, options: .init(allowModulePickle: true, allowDangerousGlobals: true))
        return try file.tensors()
      } catch {
        throw error.fault
      }
    }
  }

  private func base(_ name: String) throws -> [UInt8] {
    try FileReader.contents(of: fixture("weight-files/" + name))
  }

  /// The pickle of an archive, and its other records.
  private func archive(_ name: String) throws -> (pickle: [UInt8], records: [(name: String, data: [UInt8])]) {
    let zip = try ZipArchive(FileReader(path: fixture("weight-files/" + name)), ignoreCRC: true)
    let records = try zip.names.map { (name: $0, data: try zip.contents(of: $0) ?? []) }
    let pickle = try #require(records.first { $0.name.hasSuffix("data.pkl") })
    return (pickle.data, records.filter { $0.name != pickle.name })
  }

  @Test func `archives with changed headers and directories`() throws {
    let bases = try [
      "torch/plain.pt", "torch/zip64.pt", "torch/descriptors.pt", "torch/deflated.pt", "torch/protocol-4.pt",
    ]
    .map { name in
      let bytes = try base(name)
      let tensors = try WeightFile.open(path: fixture("weight-files/" + name)).tensors()
      return (bytes: bytes, records: Mutator.zipRecords(bytes), tensors: tensors)
    }
    try inTemporaryFolder { folder in
      let scratch = try Scratch(folder)
      let outcomes = mutate(seed: 1) { mutator throws(WeightFault) in
        let (bytes, records, tensors) = mutator.pick(bases)
        var changed = bytes
        for _ in 0...mutator.below(3) { mutator.changeZip(&changed, records: records) }
        // Checksums protect the contents, so what is accepted holds what it held.
        let read = try scratch.read(changed)
        #expect(read.names == tensors.names && read.names.allSatisfy { read[$0] == tensors[$0] })
      }
      #expect(outcomes.accepted > 100)
      for fault in [
        "zip.gap", "zip.overlap", "zip.local-mismatch", "zip.malformed-end", "zip.wrong-checksum", "zip.bomb",
      ] {
        #expect(outcomes.faults[fault] != nil, "\(fault) of \(outcomes)")
      }
    }
  }

  @Test func `pickles with changed operations`() throws {
    let bases = try ["torch/plain.pt", "torch/protocol-2.pt", "torch/protocol-4.pt", "network/module.pt"].map {
      PickleOperations(try archive($0).pickle)
    }
    let outcomes = mutate(seed: 2) { mutator throws(WeightFault) in
      var changed = mutator.pick(bases.dropLast(mutator.chance(19, in: 20) ? 1 : 0))
      for _ in 0...mutator.below(4) { changed.change(&mutator, other: mutator.pick(bases)) }
      let (value, heap) = try PickleInterpreter.run(changed.bytes)
      let tree = try TorchTree(value, heap: heap)
      for leaf in tree.leaves {
        let blockBytes = leaf.tensor.storage.blockByteCount
        precondition(leaf.tensor.reach.upperBound <= blockBytes, "\(leaf) reaches beyond its storage")
      }
    }
    #expect(outcomes.accepted > 500)
    for fault in [
      "stack-underflow", "malformed-tensor", "malformed-storage", "wrong-operand", "truncated", "missing-memo",
    ] {
      #expect(outcomes.faults["pickle." + fault] != nil, "\(fault) of \(outcomes)")
    }
  }

  @Test func `archives whose pickle or storages changed, all checksums right`() throws {
    let bases = try ["torch/plain.pt", "torch/big-endian.pt", "torch/protocol-2.pt", "torch/protocol-5.pt"].map {
      try archive($0)
    }
    let pickles = bases.map { PickleOperations($0.pickle) }
    try inTemporaryFolder { folder in
      let scratch = try Scratch(folder)
      let outcomes = mutate(seed: 3) { mutator throws(WeightFault) in
        let choice = mutator.below(bases.count)
        var (pickle, records) = (pickles[choice], bases[choice].records)
        let root = records[0].name.prefix { $0 != "/" }
        if mutator.chance(4, in: 5) { pickle.change(&mutator, other: mutator.pick(pickles)) }
        if mutator.chance(1, in: 3) {
          let place = mutator.below(records.count)
          switch mutator.below(4) {
          case 0: records.remove(at: place)
          case 1: records[place].name = mutator.pick(records).name
          default: mutator.changeBytes(&records[place].data)
          }
        }
        try scratch.read(archiveBytes([(root + "/data.pkl", pickle.bytes)] + records))
      }
      #expect(outcomes.accepted > 1000)
      for fault in [
        "torch.wrong-storage-size", "torch.missing-record", "torch.unknown-byte-order", "zip.duplicate-name",
      ] {
        #expect(outcomes.faults[fault] != nil, "\(fault) of \(outcomes)")
      }
    }
  }

  @Test func `streams with changed pickles, counts and bytes`() throws {
    let bases = try ["stream/protocol-2.pth", "stream/protocol-4.pth", "stream/torch-03-views.pth"].map {
      StreamParts(try base($0))
    }
    try inTemporaryFolder { folder in
      let scratch = try Scratch(folder)
      let outcomes = mutate(seed: 4) { mutator throws(WeightFault) in
        var parts = mutator.pick(bases)
        for _ in 0...mutator.below(2) {
          let place = 1 + mutator.below(parts.pickles.count - 1)
          switch mutator.below(6) {
          case 0: mutator.changeBytes(&parts.storages)
          case 1:
            let offset = mutator.pick(parts.counts)
            let old = Mutator.get(width: 8, at: offset, in: parts.storages)
            Mutator.put(mutator.integer(near: old), width: 8, at: offset, in: &parts.storages)
          default: parts.pickles[place].change(&mutator, other: mutator.pick(bases).pickles[3])
          }
        }
        try scratch.read(parts.bytes)
      }
      #expect(outcomes.accepted > 500)
      for fault in ["torch.unknown-stream", "torch.wrong-storage-size", "torch.truncated", "torch.trailing-bytes"] {
        #expect(outcomes.faults[fault] != nil, "\(fault) of \(outcomes)")
      }
    }
  }

  /// A stream, taken apart.
  private struct StreamParts {
    var pickles: [PickleOperations] = []
    var storages: [UInt8]
    /// Where in `storages` the numbers of elements stand, if nothing is changed.
    var counts: [Int] = [0]

    init(_ bytes: [UInt8]) {
      var offset = 0
      for _ in 0..<5 {
        pickles.append(PickleOperations(bytes, from: offset))
        offset += pickles.last?.bytes.count ?? 0
      }
      storages = Array(bytes[offset...])
    }

    var bytes: [UInt8] { pickles.flatMap(\.bytes) + storages }
  }

  @Test func `safetensors with changed headers and bytes`() throws {
    let bytes = try base("safetensors/valid.safetensors")
    let length = Int(Mutator.get(width: 8, at: 0, in: bytes))
    let header = try JSONValue.parse(Array(bytes[8..<8 + length]))
    let data = Array(bytes[(8 + length)...])
    let outcomes = mutate(seed: 5) { mutator throws(WeightFault) in
      var changed = header
      var text = Array(header.text().utf8)
      for _ in 0...mutator.below(3) {
        changed = mutator.changeJSON(changed)
        text = Array(changed.text().utf8)
      }
      if mutator.chance(1, in: 4) { mutator.changeBytes(&text) }
      var length = UInt64(text.count)
      if mutator.chance(1, in: 20) { length = mutator.integer(near: length) }
      var tensors = data
      if mutator.chance(1, in: 10) { mutator.changeBytes(&tensors) }
      let file = MemoryBytes(contents: littleEndian(Int(truncatingIfNeeded: length), 8) + text + tensors)
      let directory = try Safetensors.open(file)
      var count = 0
      for index in directory.entries.indices { count += try directory.source.tensor(at: index).bytes.count }
      // Tensors tile the bytes behind the header.
      #expect(count == text.count + tensors.count - Int(length))
    }
    #expect(outcomes.accepted > 100)
    for fault in [
      "malformed-header", "malformed-entry", "unknown-dtype", "shape-overflow", "wrong-byte-count", "overlap", "hole",
      "truncated", "trailing-bytes", "header-too-long", "malformed-metadata",
    ] {
      #expect(outcomes.faults["safetensors." + fault] != nil, "\(fault) of \(outcomes)")
    }
  }
}
