import Foundation
import Platform
import Synchronization
import TestSupport
import Testing

@testable import WeightFormats

@Suite struct HDF5ProcessTests {
  private let valid = fixture("weight-files/keras/fixed-strings.h5")

  /// The error that reading everything gives when `script`, in a shell, is what reads the file.
  private func fault(of script: String, seconds: Int = 20) throws -> WeightFault? {
    let file = try FileReader(path: valid)
    let child = try ChildProcess(program: "/bin/sh", arguments: ["-c", script], environment: [], file: file)
    do throws(WeightFault) {
      _ = try Safetensors.open(HDF5Process(child: child, answerSeconds: seconds))
      return nil
    } catch {
      return error
    }
  }

  @Test func `how the reader ends, or that it does not, is an error of the file`() throws {
    #expect(try fault(of: "exit 3") == .keras(.readerExited(status: 3)))
    #expect(try fault(of: "kill -SEGV $$") == .keras(.readerCrashed(signal: 11)))
    #expect(try fault(of: "kill -PROF $$") == .keras(.readerCrashed(signal: 27)))
    #expect(try fault(of: "sleep 60", seconds: 1) == .keras(.readerStalled(seconds: 1)))
    #expect(KerasFault.readerCrashed(signal: 11).diagnosis.message.contains("libhdf5 itself fails on it"))
    #expect(KerasFault.readerCrashed(signal: 27).diagnosis.message.contains("used up its processor time"))
    #expect(KerasFault.readerCrashed(signal: 11).diagnosis.exit == .badData)
    #expect(KerasFault.unconfined(doing: "seccomp", errno: 38).diagnosis.exit == .unavailable)
  }

  @Test func `what a reader says is believed no more than a file`() throws {
    let size = "printf '\\000\\377\\377\\377\\377\\377\\377\\377\\177' >&0; "
    #expect(
      try fault(of: "printf '\\000\\377\\377\\377\\377\\377\\377\\377\\377' >&0; sleep 1")
        == .keras(.readerUnbelievable(reason: "a size beyond 64 bits")))
    #expect(
      try fault(of: "printf '\\007' >&0; sleep 1") == .keras(.readerUnbelievable(reason: "an answer that is none")))
    #expect(
      try fault(of: "printf '\\001\\377\\377\\377\\377' >&0; sleep 1")
        == .keras(.readerUnbelievable(reason: "an answer that is none")))
    #expect(
      try fault(of: "printf '\\001\\002\\000\\000\\000[]' >&0; sleep 1")
        == .keras(.readerUnbelievable(reason: "an answer that is none")))
    #expect(
      try fault(of: size + "printf '\\000\\377\\377\\377\\377\\377\\377\\377\\377' >&0; sleep 1")
        == .safetensors(.headerTooLong(bytes: .max)))
    // A fault that it tells is taken over.
    #expect(
      try fault(of: "printf '\\001\\020\\000\\000\\000[\"noLayerNames\"]' >&0; sleep 1") == .keras(.noLayerNames))
  }

  @Test func `a reader that is killed while nobody asks is an error of the next read`() throws {
    let file = try FileReader(path: valid)
    let process = try HDF5Process(file, range: 0..<file.size)
    _ = try process.bytes(at: 0, count: 8)
    kill(process.identifier, SIGKILL)
    for _ in 0..<2 {
      #expect(throws: WeightFault.keras(.readerCrashed(signal: 9))) { try process.bytes(at: 0, count: 8) }
    }
  }

  @Test func `the reader serves the header and whole tensors, nothing else`() throws {
    let file = try FileReader(path: valid)
    for (offset, count) in [(-1, 8), (0, 1 << 20), (1 << 40, 4)] {
      let process = try HDF5Process(file, range: 0..<file.size)
      #expect(throws: WeightFault.self) { try process.bytes(at: offset, count: count) }
    }
    let process = try HDF5Process(file, range: 0..<file.size)
    let last = process.size - 4
    #expect(throws: WeightFault.keras(.readerUnbelievable(reason: "a request for 4 bytes at \(last)"))) {
      try process.bytes(at: last, count: 4)
    }
  }

  /// What a reader serves that tells of one weight, 1.0, and says that it stands at `addresses` of the file.
  private func served(_ addresses: String) -> MemoryBytes {
    let description = #"{"prefix":"","layers":[["bn",["gamma"]]],"metadata":{},"addresses":"# + addresses + "}"
    let header =
      #"{"__metadata__":{"keras":"# + JSONValue.string(description).text()
      + #"},"/bn/gamma":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0)) }
    return MemoryBytes(contents: length + Array(header.utf8) + [0, 0, 0x80, 0x3F])
  }

  @Test func `numbers are read from the file where the reader says so, and only there`() throws {
    // 2.0 from the fourth byte on.
    func file() -> MemoryBytes { MemoryBytes(contents: [0, 0, 0, 0, 0, 0, 0, 0x40]) }
    for (addresses, value) in [("[4]", Float(2)), ("[0]", 0), ("[null]", 1)] {
      let directory = try KerasFile.open(served: served(addresses), of: file())
      #expect(try directory.source.tensor(at: 0).floats() == [value])
    }
    for addresses in ["[5]", "[-1]", "[9223372036854775807]", "[]", "[4,4]"] {
      do throws(WeightFault) {
        _ = try KerasFile.open(served: served(addresses), of: file())
        Issue.record("\(addresses) was believed")
      } catch {
        guard case .keras(.readerUnbelievable) = error else {
          Issue.record("\(addresses): \(error)")
          continue
        }
      }
    }
  }

  @Test func `a truncated file is an error wherever it ends`() throws {
    let bytes = try FileReader.contents(of: valid)
    let points = 500
    let accepted = Mutex<[Int]>([])
    try inTemporaryFolder { folder in
      ThreadPool().forEach(points) { index in
        let size = index * bytes.count / points
        let path = "\(folder)/\(index)"
        do {
          try AtomicFile.write(Array(bytes.prefix(size)), to: path, overwriting: false)
          _ = try WeightFile.open(path: path).tensors()
          accepted.withLock { $0.append(size) }
        } catch let error as WeightFormatError {
          if error.diagnosis.exit == .internalBug || error.diagnosis.exit == .unavailable {
            accepted.withLock { $0.append(size) }
          }
        } catch {
          accepted.withLock { $0.append(size) }
        }
        unlink(path)
      }
    }
    #expect(accepted.withLock { $0 } == [])
  }

  /// 2 000 files that differ a little from sound ones: each is read, or refused with an error of the file, within a second. Only what
  /// keeps libhdf5 in a loop takes as long as its processor time.
  @Test func `no damaged file hurts`() throws {
    let sources = try [
      "keras/fixed-strings.h5", "keras/chunked.h5", "keras/whole-model.h5", "keras3/nested.weights.h5",
    ].map { try Mutations(FileReader.contents(of: fixture("weight-files/" + $0))) }
    let outcomes = Mutex<[String: Int]>([:])
    let failures = Mutex<[String]>([])
    try inTemporaryFolder { folder in
      ThreadPool().forEach(2000) { seed in
        let path = "\(folder)/\(seed).h5"
        do {
          try AtomicFile.write(sources[seed % sources.count].file(seed: seed), to: path, overwriting: false)
          var outcome = ""
          // A second look where other work of the machine may have come between.
          for attempt in 0..<2 {
            let start = ContinuousClock.now
            outcome = "read"
            do throws(WeightFormatError) { _ = try WeightFile.open(path: path).tensors() } catch {
              outcome = error.fault == .keras(.readerCrashed(signal: Int(SIGPROF))) ? "loop" : error.diagnosis.id
              if [.internalBug, .unavailable].contains(error.diagnosis.exit) { outcome = "wrong: \(error)" }
            }
            if ContinuousClock.now - start < .seconds(1) || outcome == "loop" { break }
            if attempt == 1 { outcome = "wrong: over a second" }
          }
          if outcome.hasPrefix("wrong") { failures.withLock { $0.append("seed \(seed): \(outcome)") } }
          let key = outcome
          outcomes.withLock { $0[key, default: 0] += 1 }
        } catch {
          failures.withLock { $0.append("seed \(seed): \(error)") }
        }
        unlink(path)
      }
    }
    #expect(failures.withLock { $0 } == [])
    // The mutations do reach what they are meant for.
    let counts = outcomes.withLock { $0 }
    for outcome in ["read", "keras.damaged", "keras.reader-crashed", "loop"] {
      #expect(counts[outcome, default: 0] > 0, "\(outcome): \(counts)")
    }
  }
}

/// A sound HDF5 file, and files that differ from it in one to three places, of which most are near the structures that libhdf5
/// walks.
private struct Mutations {
  /// What they begin with: superblock, groups, lists of links, local and global heaps, object headers of version 2 and their rest.
  private static let signatures = ["\u{89}HDF", "TREE", "SNOD", "HEAP", "GCOL", "OHDR", "OCHK"].map {
    $0.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
  }

  private let source: [UInt8]
  /// Where a structure begins.
  private let structures: [Int]

  init(_ source: [UInt8]) {
    self.source = source
    structures = source.indices.filter { place in
      Self.signatures.contains { source[place...].starts(with: $0) }
    }
  }

  func file(seed: Int) -> [UInt8] {
    var random = CounterRandom(seed: 20, purpose: .shuffle, sample: seed)
    var bytes = source
    for _ in 0...random.below(3) {
      let near = structures[random.below(structures.count)] + random.below(96)
      let place = random.below(4) == 0 ? random.below(bytes.count) : min(near, bytes.count - 1)
      switch random.below(5) {
      case 0: bytes[place] ^= 1 << UInt8(random.below(8))
      case 1: bytes[place] = UInt8(random.below(256))
      case 2: bytes[place] = [0, 1, 0x7F, 0x80, 0xFF][random.below(5)]
      case 3:
        // An address, a size or a count: eight bytes.
        let value: UInt64 = [0, .max, 1 << 63, UInt64(bytes.count), UInt64(random.below(bytes.count))][random.below(5)]
        for index in 0..<min(8, bytes.count - place) {
          bytes[place + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
        }
      default:
        // A piece of the file in another place.
        let count = min(1 + random.below(64), bytes.count - place)
        let from = random.below(bytes.count - count + 1)
        bytes.replaceSubrange(place..<place + count, with: source[from..<from + count])
      }
    }
    return bytes
  }
}
