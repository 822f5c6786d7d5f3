import CCUDAKernels
import Engine
import Platform
import TestSupport
import Testing

@testable import Accelerators

extension Emulated {
  /// The emulator's own checks: kernels that are wrong on purpose, and one that uses everything rightly.
  @Suite struct EmulatorTests {
    /// What they all take: data, count.
    private struct Parameters: BitwiseCopyable {
      var data: DeviceAddress
      var count: Int32
      var unused: Int32 = 0
    }

    /// Runs the kernel on `count` words of zero; what is in them behind it.
    private func run(
      _ name: String, count: Int, threads: Int = 64, sharedBytes: Int = 1024, _ device: CUDADevice
    ) throws -> [UInt32] {
      try runEmulated(
        name, threads: threads, sharedBytes: sharedBytes, blocks: (count + threads - 1) / threads,
        on: [UInt32](repeating: 0, count: count), device
      ) { ([], Parameters(data: $0, count: Int32(count))) }
    }

    @Test(arguments: [
      ("test_race_shared", "race"), ("test_race_warp", "race"), ("test_race_global", "race"),
      ("test_in_flight", "copy"), ("test_left_in_flight", "copy"), ("test_divergent_barrier", "barrier"),
      ("test_divergent_warp", "warp"), ("test_not_same", "different"), ("test_deadlock", "deadlock"),
      ("test_outside", "outside"),
      ("test_outside_shared", "outside"), ("test_misaligned", "align"), ("test_little_shared", "shared memory"),
    ])
    func `what a kernel may not do ends it, and is told`(kernel: String, word: String) throws {
      for seed in 1...5 as ClosedRange<UInt64> {
        let (emulator, device) = try emulatedDevice()
        emulator.seed(seed)
        #expect(throws: BackendError.self) { try run(kernel, count: 128, device) }
        #expect(emulator.violation.contains(kernel) && emulator.violation.contains(word), "\(emulator.violation)")
      }
      try Emulator.shared.get().reset()
    }

    @Test func `what a kernel may do is no violation`() throws {
      for seed in 1...5 as ClosedRange<UInt64> {
        let (emulator, device) = try emulatedDevice()
        emulator.seed(seed)
        #expect(try run("test_right", count: 132, device) == [UInt32](repeating: 1, count: 132))
        #expect(emulator.violation == "")
      }
    }

    @Test func `bytes are counted as threads ask for them, and each word once a launch`() throws {
      for seed in 1...5 as ClosedRange<UInt64> {
        let (emulator, device) = try emulatedDevice()
        emulator.seed(seed)
        // Reads and writes each word once.
        for _ in 1...2 { _ = try run("test_right", count: 132, device) }
        let bytes = 2 * 4 * 132
        #expect(
          emulator.counters(of: "test_right")
            == .init(launches: 2, read: bytes, written: bytes, distinctRead: bytes, distinctWritten: bytes))

        // Four blocks read 16 bytes a thread, of 64 words. Three touch 32 words twice and 16, by halves, once; what they wrote they do not read.
        let block = [UInt32](repeating: 2, count: 32) + [UInt32](repeating: 0x1_0001, count: 16)
        let own = block + [UInt32](repeating: 0, count: 16)
        #expect(try run("test_again", count: 256, device) == [UInt32](repeating: 0, count: 64) + own + own + own)
        #expect(
          emulator.counters(of: "test_again")
            == .init(
              launches: 1, read: 4 * 64 * 16 + 3 * (2 * 128 + 64), written: 3 * (2 * 128 + 64),
              distinctRead: 4 * 64 + 3 * 128, distinctWritten: 3 * (128 + 64)))
        #expect(emulator.violation == "")
      }
    }

    /// Runs one of the kernels that multiply by a warpgroup: whether each of its threads has the right sums.
    private func runProducts(_ name: String, _ device: CUDADevice) throws -> Bool {
      let found = try run(name, count: 128, threads: 128, sharedBytes: 16384, device)
      return found == [UInt32](repeating: 1, count: 128)
    }

    @Test(arguments: [
      ("proxy_unfenced", "fenceAsyncProxy"), ("proxy_fenced_late", "fenceAsyncProxy"), ("no_barrier", "race"),
      ("unfenced", "warpgroupFence"), ("unfenced_again", "warpgroupFence"), ("unnamed", "names"),
      ("changed", "changed"), ("touched_early", "touched"), ("written", "race"),
      ("written_behind_barrier", "while this product reads"), ("written_after", "race"),
      ("uncommitted", "under way"), ("left", "under way"), ("divergent", "warpgroup"), ("differing", "descriptors"),
      ("unswizzled", "swizzle"), ("off_pattern", "pattern"), ("over_row", "rows"), ("outside", "outside"),
      ("of_registers_unnamed", "names"), ("of_registers_changed", "changed"),
      ("of_registers_touched_early", "registers of A were touched"), ("of_registers_unfenced_again", "names"),
      ("of_registers_off_pattern", "pattern"), ("of_registers_over_row", "rows"),
    ])
    func `what products of a warpgroup may not do ends them, and is told`(name: String, word: String) throws {
      let kernel = "test_products_" + name
      for seed in 1...5 as ClosedRange<UInt64> {
        let (emulator, device) = try emulatedDevice()
        emulator.seed(seed)
        #expect(throws: BackendError.self) { _ = try runProducts(kernel, device) }
        #expect(emulator.violation.contains(kernel) && emulator.violation.contains(word), "\(emulator.violation)")
      }
      try Emulator.shared.get().reset()
    }

    /// Four products, each of 16 of what so many rows and columns in shared memory have.
    @Test(arguments: [("test_products", 64 + 64), ("test_products_of_registers", 32)])
    func `products of a warpgroup are there when a wait has named them, and not before`(
      kernel: String, lines: Int
    ) throws {
      for seed in 1...5 as ClosedRange<UInt64> {
        let (emulator, device) = try emulatedDevice()
        emulator.seed(seed)
        #expect(try runProducts(kernel, device))
        #expect(emulator.counters(of: kernel)?.warpgroupRead == 4 * lines * 16 * 2)
        #expect(
          try run(kernel + "_read_early", count: 128, threads: 128, sharedBytes: 16384, device)
            == [UInt32](repeating: 0, count: 128))
        #expect(emulator.violation == "")
      }
    }

    @Test(arguments: ["test_products", "test_products_of_registers"])
    func `what products of a warpgroup cannot do without is noticed where it is missing`(kernel: String) throws {
      let (emulator, device) = try emulatedDevice()
      defer { emulator.reset() }
      emulator.recordSites(true)
      #expect(try runProducts(kernel, device))
      let sites = emulator.sites.filter { !$0.contains("\tpredicate\t") }
      for kind in ["barrier", "wait", "index", "fence"] {
        #expect(sites.contains { $0.contains("\t\(kind)\t") }, "\(kind)")
      }
      for site in sites {
        let (emulator, device) = try emulatedDevice()
        #expect(emulator.plant(site))
        let isRight = (try? runProducts(kernel, device)) ?? false
        #expect(!isRight || emulator.violation != "", "\(site)")
      }
    }
  }
}
