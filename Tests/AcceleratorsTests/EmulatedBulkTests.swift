import CCUDAKernels
import TestSupport
import Testing

@testable import Accelerators
@testable import Engine

extension Emulated {
  /// The emulator's own checks of bulk copies: a kernel that is right, and the same with one mistake each.
  @Suite struct EmulatedBulkTests {
    private static let (rows, columns) = (128, 64)

    /// Whether each thread of the kernel finds what it should, and what was stored is right.
    private func runsRight(_ name: String, _ device: CUDADevice) throws -> Bool {
      let count = Self.rows * Self.columns / 2
      let matrix = (0..<count).map { UInt32($0 / (Self.columns / 2)) * 0x1_0001 }
      // What is stored of it, and a word of each thread.
      let words = matrix + [UInt32](repeating: 0, count: count / 2 + 128)
      let found = try runEmulated(name, threads: 128, sharedBytes: 16400, blocks: 1, on: words, device) { address in
        func tensor(_ word: Int, rows: Int, columns: Int = Self.columns) -> CUDATensor {
          CUDATensor(
            address + DeviceAddress(4 * word), rows: rows, columns: columns, stride: Self.columns, box: (64, columns))
        }
        var parameters = primitive_bulk_parameters()
        parameters.wide_out = address + DeviceAddress(4 * (count + count / 2))
        return (
          [tensor(0, rows: Self.rows), tensor(0, rows: 1000), tensor(count, rows: Self.rows / 2)], parameters
        )
      }
      return Array(found.dropLast(128)) == matrix + matrix.prefix(count / 2) && found.suffix(128).allSatisfy { $0 == 1 }
    }

    @Test(arguments: [
      ("unprepared", "prepared"), ("no_barrier", "prepared"), ("unexpected", "expected"),
      ("more", "deadlock"), ("fewer", "expected"), ("read_in_flight", "in flight"), ("not_waited", "not waited"),
      ("overwrites_read", "race"), ("unfenced_overwrite", "overwrites"), ("unfenced_store", "fenceAsyncProxy"),
      ("written_while_stored", "while this store reads"), ("left_store", "under way"), ("left_copy", "under way"),
      ("off_pattern", "pattern"), ("expects_twice", "before anybody has waited"),
      ("waits_for_the_past", "waits for phase 0"), ("no_map", "tensor_map"), ("outside", "outside every buffer"),
    ])
    func `what bulk copies may not do ends them, and is told`(name: String, word: String) throws {
      let kernel = "test_bulk_" + name
      for seed in 1...5 as ClosedRange<UInt64> {
        let (emulator, device) = try emulatedDevice()
        emulator.seed(seed)
        #expect(throws: BackendError.self) { _ = try runsRight(kernel, device) }
        #expect(emulator.violation.contains(kernel) && emulator.violation.contains(word), "\(emulator.violation)")
      }
      try Emulator.shared.get().reset()
    }

    @Test func `bulk copies move bytes once, and need all that they are given`() throws {
      for seed in 1...5 as ClosedRange<UInt64> {
        let (emulator, device) = try emulatedDevice()
        emulator.seed(seed)
        #expect(try runsRight("test_bulk", device))
        let (read, written) = (2 * Self.rows * Self.columns, Self.rows * Self.columns + 4 * 128)
        #expect(
          emulator.counters(of: "test_bulk")
            == .init(launches: 1, read: read, written: written, distinctRead: read, distinctWritten: written))
        #expect(emulator.violation == "")
      }
      let (emulator, device) = try emulatedDevice()
      defer { emulator.reset() }
      emulator.recordSites(true)
      #expect(try runsRight("test_bulk", device))
      let sites = emulator.sites.filter { !$0.contains("\tpredicate\t") && !$0.contains("\tsyncWarp\t") }
      for kind in ["barrier", "wait", "index", "fence"] {
        #expect(sites.contains { $0.contains("\t\(kind)\t") }, "\(kind)")
      }
      for site in sites {
        let (emulator, device) = try emulatedDevice()
        #expect(emulator.plant(site))
        let isRight = (try? runsRight("test_bulk", device)) ?? false
        #expect(!isRight || emulator.violation != "", "\(site)")
      }
    }

    /// As the driver's documentation has it.
    @Test func `a map of what cannot be copied is refused`() throws {
      let (emulator, device) = try emulatedDevice()
      defer { emulator.reset() }
      for (address, rows, columns, stride, box) in [
        (0, 8, 64, 64, 8), (4104, 8, 64, 64, 8), (4096, 0, 64, 64, 8), (4096, 8, 64, 68, 8), (4096, 8, 64, 32, 8),
        (4096, 8, 64, 64, 0), (4096, 8, 64, 64, 257),
      ] {
        let tensor = CUDATensor(
          DeviceAddress(address), rows: rows, columns: columns, stride: stride, box: (box, 64))
        let error = #expect(throws: BackendError.self) { try tensor.map(by: device, for: "this") }
        #expect(error?.diagnosis.message.contains("cuTensorMapEncodeTiled") == true)
        #expect(error?.diagnosis.message.contains("this") == true)
      }
    }
  }
}
