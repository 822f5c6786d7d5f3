import Foundation
import TestSupport
import Testing

@testable import Accelerators

extension Emulated {
  /// Every kernel, made to err in each place where one can: a missing barrier, a weakened wait, an index off by one, a predicate that is always
  /// true. The emulator says what is wrong, or the network's results are.
  @Suite struct PlantedFaultTests {
    /// Where a kernel can be made to err.
    private struct Site {
      let kernel, kind, file, source: Substring

      init(_ text: String) {
        let parts = text.split(separator: "\t"), place = parts[2].split(separator: ":")
        (kernel, kind, file) = (parts[0], parts[1], place[0])
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
          .appendingPathComponent("../../Sources/Accelerators/CUDA/Kernels/")
        let lines = try? String(contentsOf: folder.appendingPathComponent(String(file)), encoding: .utf8)
          .split(separator: "\n", omittingEmptySubsequences: false)
        source = Int(place[1]).flatMap { lines?[$0 - 1] } ?? ""
      }
    }

    /// Places where the fault makes no program that could be told apart, by the beginning of the kernel's name and a part of the source line.
    private struct Equivalent: CustomStringConvertible {
      let kernel, kind, file, part, because: String
      init(_ kernel: String, _ kind: String, _ file: String, _ part: String, because: String) {
        (self.kernel, self.kind, self.file, self.part, self.because) = (kernel, kind, file, part, because)
      }
      func contains(_ site: Site) -> Bool {
        site.kernel.hasPrefix(kernel) && site.kind == kind && site.file == file && site.source.contains(part)
      }
      var description: String { "\(kernel) \(kind) \(file): \(part)" }
    }

    private static let equivalent = [
      Equivalent("growth_", "predicate", "growth.h", "copyAsync16(stage.weight", because: "true where it stands"),
      Equivalent("growth_", "predicate", "growth.h", "copyAsync16(&shared.affine", because: "true where it stands"),
      Equivalent(
        "growth_", "predicate", "convolution_fp32.h", "exists(firstOutput + column)",
        because: "a block's outputs are 32, and there are 32 or none"),
      Equivalent(
        "growth_", "predicate", "tile_sums.h", "when(chunk * 8 < columns)",
        because: "a block's outputs are 32, and there are 32 or none"),
      Equivalent(
        "growth_", "barrier", "tile_sums.h", "barrier();", because: "between the sums, which inference does not want"),
      Equivalent(
        "pack_convolutions_", "predicate", "packing.h", "when(output >= 0)",
        because: "the batch norm behind makes 0 of a lane without a channel"),
      Equivalent(
        "pack_convolutions_", "predicate", "packing.h", "when(input >= 0)",
        because: "the batch norm in front makes 0 of a lane without a channel"),
      Equivalent(
        "pack_stem_fp32", "predicate", "packing.h", "when(row < 7)",
        because: "in fp32 the image's patch is 0 there too"),
      Equivalent(
        "", "predicate", "convolution_fp32.h", "rectified(sum[r][c + j] + bias[j])",
        because: "rows outside are not stored, and inference wants no sums"),
      Equivalent(
        "pointwise_data_gradient_", "predicate", "gated_tile.h", "when(accumulates)",
        because: "the network always has a gradient there that is added to"),
      Equivalent(
        "growth_gradients_48x256_bf16", "predicate", "growth_gradients.h", "if (y.inside && when(row < left))",
        because: "the buffer is as large as the stem's map, and nobody reads what is behind the last pixel"),
      Equivalent(
        "pointwise_gradients_64_90a_bf16", "wait", "pointwise_gradients_90a.h", "static DEVICE void finish()",
        because: "the emulator's warps wait together for what comes behind; on a card one may be done before another"),
      Equivalent(
        "", "predicate", "convolution_gradients_fp32.h", "when(slices > 0)",
        because: "there are no more parts than runs of 64 pixels"),
    ]

    @Test(.timeLimit(.minutes(10))) func `every planted fault is noticed`() throws {
      var (noticed, missed) = (Set<String>(), Set<String>())
      for trial in try FaultTrial.all() {
        for setting in trial.settings {
          func start() throws -> (Emulator, CUDADevice) {
            let (emulator, device) = try emulatedDevice(
              multiprocessors: setting.multiprocessors,
              preference: setting.candidate.map { .candidate($0) } ?? .measured(CUDAMeasuredKernels()))
            emulator.seed(1)
            return (emulator, device)
          }
          let (emulator, device) = try start()
          emulator.recordSites(true)
          let share = try trial.worst(setting, device)
          #expect(share <= 1 && emulator.violation == "", "\(trial.name), \(setting): \(share), \(emulator.violation)")
          let sites = Set(emulator.sites).subtracting(noticed)
          emulator.recordSites(false)
          for text in sites.sorted() {
            let site = Site(text)
            if missed.contains(text) && Self.equivalent.contains(where: { $0.contains(site) }) { continue }
            let (emulator, device) = try start()
            #expect(emulator.plant(text))
            let share = (try? trial.worst(setting, device)) ?? .infinity
            if !(share <= 1) || emulator.violation != "" { noticed.insert(text) } else { missed.insert(text) }
          }
          emulator.reset()
        }
      }
      missed.subtract(noticed)
      let left = missed.sorted().map { (text: $0, site: Site($0)) }
      for (text, site) in left where !Self.equivalent.contains(where: { $0.contains(site) }) {
        Issue.record("\(text): \(site.source)")
      }
      for equivalent in Self.equivalent {
        #expect(left.contains { equivalent.contains($0.site) }, "\(equivalent) is noticed, or is no more")
      }
      for kind in ["barrier", "syncWarp", "wait", "fence", "index", "predicate"] {
        #expect(noticed.contains { $0.contains("\t\(kind)\t") }, "\(kind)")
      }
      let kernels = Set(noticed.map { String($0.prefix { $0 != "\t" }) })
      let all = try emulatedDevice().1.kernels.keys.filter { !$0.hasPrefix("primitive_") }
      #expect(Set(all).subtracting(kernels).isEmpty)
    }
  }
}
