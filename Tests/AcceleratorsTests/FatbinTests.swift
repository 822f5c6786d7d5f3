import CCUDAKernels
import Foundation
import Platform
import TestSupport
import Testing

@testable import Accelerators

/// Whether the kernels that are embedded are those of the sources.
@Suite struct FatbinTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../..").standardizedFileURL
  private static let folder = root.appendingPathComponent("Sources/Accelerators/CUDA/Kernels")

  private static func bytes(_ name: String) throws -> [UInt8] {
    try FileReader.contents(of: folder.appendingPathComponent(name).path)
  }

  /// What Tools/cuda/build.sh has noted of each file that went in.
  @Test func `no kernel source has changed since the fatbin was built`() throws {
    let lines = String(decoding: try Self.bytes("chexnet.fatbin.sources"), as: UTF8.self).split(separator: "\n")
    #expect(lines.count >= 10)
    for line in lines {
      let (digest, name) = (line.prefix(64), String(line.dropFirst(66)))
      #expect(
        SHA256.hex(of: try Self.bytes(name)) == digest,
        "\(name) has changed since chexnet.fatbin was built: Tools/cuda/build.sh builds it anew")
    }
  }

  @Test func `the executable holds the committed fatbin, and it is small`() throws {
    let committed = try Self.bytes("chexnet.fatbin")
    #expect(committed.count < 4_000_000)
    #expect(committed.count == Int(chexnet_cuda_fatbin_size))
    let embedded = UnsafeRawBufferPointer(start: chexnet_cuda_image(), count: committed.count)
    #expect(embedded.elementsEqual(committed))
  }

  /// Tools/cuda/build.sh --check builds it again, which takes NVIDIA's compiler and a minute or two.
  @Test(
    .enabled(if: hasCompiler, "NVIDIA's compiler is not here: Tools/cuda/build.sh --install fetches it"),
    .timeLimit(.minutes(10)))
  func `the sources give the committed fatbin`() throws {
    let process = Process()
    process.executableURL = Self.root.appendingPathComponent("Tools/cuda/build.sh")
    process.arguments = ["--check"]
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(text)")
  }

  private static var hasCompiler: Bool {
    let environment = ProcessInfo.processInfo.environment
    let home = environment["HOME"] ?? ""
    let cache = environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? home + "/.cache"
    return environment["NVCC"] != nil || FileManager.default.fileExists(atPath: cache + "/chexnet/nvcc-13.0")
  }
}
