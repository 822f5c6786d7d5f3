import Foundation
import Platform
import TestSupport
import Testing

@testable import Accelerators
@testable import Engine

extension Emulated {
  /// The kernels of every family, each made to err in each place where one can: a missing barrier, a weakened wait, an index off by one, a
  /// predicate that is always true. The emulator says what is wrong, or the network's results are.
  @Suite struct PlantedFaultTests {
    /// What a network that takes milliseconds is run by. One multiprocessor makes large tiles the choice, many make small ones.
    private struct Setting: CustomStringConvertible {
      var mode: Plan.Mode
      var precision: Precision
      var multiprocessors: Int
      var description: String { "\(mode), \(precision), \(multiprocessors) multiprocessors" }
    }

    /// Five slices of channels in front of either kind of convolution, so that every stage of a pipeline is filled a second time; then several
    /// of the largest tiles, with narrow maps behind them; then wide maps. With tails of tiles, of rows and of channels.
    private static let networks: [ConformanceCase] = [
      .small(20, [3, 4], stem: 40, channels: 2, 21, 26, 3), .small(4, [1, 1], stem: 8, channels: 1, 41, 45, 5),
      .small(4, [2], stem: 8, channels: 1, 12, 250, 2),
    ]

    private static func expectation(_ network: ConformanceCase, _ mode: Plan.Mode) throws -> Conformance.Expectation {
      var network = network
      network.mode = mode
      let images = imagesOfEveryKind(
        try network.plan().image, count: network.count, .imageNet(channels: network.architecture.inputChannels))
      return try Conformance.Expectation(network, images: images, pool: ThreadPool(threads: 2))
    }

    private static func run(
      _ expected: Conformance.Expectation, _ setting: Setting, _ device: CUDADevice
    ) throws -> Double {
      switch setting.mode {
      case .inference:
        let backend = CUDABackend(device, "cuda", setting.precision)
        let deviations = try Conformance.deviations(of: backend, from: expected)
        return deviations.map { $0.value / $0.bound }.reduce(0) { $0.isNaN || $1.isNaN ? .nan : max($0, $1) }
      case .training: return try CUDATrainingForwardTests.worst(of: expected, setting.precision, device)
      }
    }

    /// Places where the fault makes no program that could be told apart, by the beginning of the kernel's name and a part of the source line.
    private static let equivalent: [(kernel: String, kind: String, part: String, because: String)] = [
      ("growth_", "predicate", "copyAsync16(stage.weight", "true where it stands"),
      ("growth_", "predicate", "copyAsync16(&shared.affine", "true where it stands"),
      ("growth_", "predicate", "exists(firstOutput + column)", "a block's outputs are 32, and there are 32 or none"),
      ("growth_", "predicate", "when(chunk * 8 < columns)", "a block's outputs are 32, and there are 32 or none"),
      ("growth_", "barrier", "barrier();", "between the sums, which inference does not want"),
      (
        "pack_convolution_", "predicate", "when(output >= 0)",
        "the batch norm behind makes 0 of a lane without a channel"
      ),
      (
        "pack_convolution_", "predicate", "when(input >= 0)",
        "the batch norm in front makes 0 of a lane without a channel"
      ),
      ("pack_stem_fp32", "predicate", "when(row < 7)", "in fp32 the image's patch is 0 there too"),
      (
        "", "predicate", "rectified(sum[r][c + j] + bias[j])",
        "rows outside are not stored, and inference wants no sums"
      ),
    ]

    private static func source(_ site: String) -> String {
      let place = site.split(separator: "\t")[2].split(separator: ":")
      let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../Sources/Accelerators/CUDA/Kernels/")
      guard let text = try? String(contentsOf: folder.appendingPathComponent(String(place[0])), encoding: .utf8),
        let line = Int(place[1])
      else { return "" }
      return text.split(separator: "\n", omittingEmptySubsequences: false)[line - 1].trimmingCharacters(
        in: .whitespaces)
    }

    @Test(.timeLimit(.minutes(5))) func `every planted fault is noticed`() throws {
      var (noticed, missed) = (Set<String>(), Set<String>())
      let runs = Self.networks.flatMap { network in [Plan.Mode.inference, .training].map { (network, $0) } }
      for (network, mode) in runs {
        let expected = try Self.expectation(network, mode)
        for setting in [1, 2, 3, 132].flatMap({ count in
          Precision.allCases.map { Setting(mode: mode, precision: $0, multiprocessors: count) }
        }) where setting.precision == .bf16 || setting.multiprocessors == 1 {
          let (emulator, device) = try emulatedDevice(multiprocessors: setting.multiprocessors)
          emulator.recordSites(true)
          let share = try Self.run(expected, setting, device)
          #expect(share <= 1 && emulator.violation == "", "\(setting): \(share), \(emulator.violation)")
          let sites = Set(emulator.sites).subtracting(noticed)
          emulator.recordSites(false)
          for site in sites.sorted() {
            let (emulator, device) = try emulatedDevice(multiprocessors: setting.multiprocessors)
            #expect(emulator.plant(site))
            let share = (try? Self.run(expected, setting, device)) ?? .infinity
            if !(share <= 1) || emulator.violation != "" { noticed.insert(site) } else { missed.insert(site) }
          }
          emulator.reset()
        }
      }
      missed.subtract(noticed)
      let unexplained = missed.filter { site in
        let parts = site.split(separator: "\t")
        return !Self.equivalent.contains { fault in
          parts[0].hasPrefix(fault.kernel) && parts[1] == fault.kind && Self.source(site).contains(fault.part)
        }
      }
      #expect(
        unexplained.isEmpty, "\(unexplained.sorted().map { "\($0): \(Self.source($0))" }.joined(separator: "\n"))")
      for family in [
        "pointwise", "growth", "stem", "maximum_pool", "mean_pool", "head", "normalization", "reduce", "pack",
      ] {
        #expect(noticed.contains { $0.hasPrefix(family) }, "\(family)")
      }
      for kind in ["barrier", "wait", "index", "predicate"] {
        #expect(noticed.contains { $0.contains("\t\(kind)\t") }, "\(kind)")
      }
    }
  }
}
