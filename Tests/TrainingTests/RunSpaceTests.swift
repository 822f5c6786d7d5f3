import ChestXray
import Engine
import Foundation
import Platform
import TestSupport
import Testing

@testable import Training

@Suite struct RunSpaceTests {
  private let pool = ThreadPool(threads: 2)

  /// A run of a little network on ten made-up radiographs in `folder`, in `folder`/`name`.
  private func finetuner(_ folder: String, _ name: String) throws -> Finetuner {
    let data = folder + "/data"
    if !FileManager.default.fileExists(atPath: data) {
      _ = try SyntheticRadiographs(images: 10).write(to: data, pool: pool) { _ in }
    }
    var options = TrainingOptions(
      data: data, trainList: data + "/train_list.txt", validationList: data + "/val_list.txt",
      start: .random(architecture: "2:1,1"))
    options.cache = .folder(folder + "/cache")
    (options.epochs, options.imageSize, options.batchSize, options.averageDecay) = (2, 32, 4, 0.5)
    return Finetuner(
      options, output: folder + "/" + name, resume: .automatic, backend: try backend(named: "auto", pool: pool),
      pool: pool)
  }

  /// What keeps the run from its end.
  private func diagnosis(_ finetuner: Finetuner) -> Diagnosis? {
    do {
      _ = try finetuner { _ in }
    } catch let error as any DiagnosedError {
      return error.diagnosis
    } catch {
      Issue.record("\(error)")
    }
    return nil
  }

  @Test func `without room for three checkpoints and two states nothing is made, and both sizes are told`() throws {
    try inTemporaryFolder { folder in
      var finetuner = try finetuner(folder, "run")
      finetuner.run.spaceLeft = { _ throws(PlatformError) in 1234 }
      let found = try #require(diagnosis(finetuner))
      #expect(found.id == "output.disk-full")
      #expect(found.exit == .inputOutput)
      // Three checkpoints, and weights, average and two moments of two states, four bytes each: 327680 bytes are for headers.
      let layout = try ParameterLayout(#require(DenseNetArchitecture(parsing: "2:1,1", classCount: 14)))
      let needed = 4 * (7 * layout.count + 4 * layout.trainedCount) + 327_680
      #expect(found.message.contains("\(needed) bytes are needed, 1234 are free"))
      #expect(!FileManager.default.fileExists(atPath: folder + "/run"))
      finetuner.run.spaceLeft = { _ throws(PlatformError) in needed }
      #expect(diagnosis(finetuner) == nil)
    }
  }

  @Test func `a disk that fills on the way stops the run, which goes on from what was saved`() throws {
    try inTemporaryFolder { folder in
      _ = try finetuner(folder, "whole").callAsFunction { _ in }
      var stopped = try finetuner(folder, "run")
      let state = folder + "/run/checkpoints/last.state.safetensors"
      stopped.run.spaceLeft = { _ throws(PlatformError) in
        FileManager.default.fileExists(atPath: state) ? 0 : Int.max
      }
      #expect(diagnosis(stopped)?.id == "output.disk-full")
      let saved = try FileReader.contents(of: state)
      #expect(diagnosis(stopped)?.id == "output.disk-full")
      #expect(try FileReader.contents(of: state) == saved)
      _ = try finetuner(folder, "run").callAsFunction { _ in }
      for file in ["metrics.csv", "checkpoints/best.safetensors", "checkpoints/last.state.safetensors"] {
        #expect(
          try FileReader.contents(of: folder + "/run/" + file) == FileReader.contents(of: folder + "/whole/" + file),
          "\(file) differs")
      }
    }
  }

  @Test func `space is measured where the run will be, though nothing is there yet`() throws {
    try inTemporaryFolder { folder in
      let free = try freeSpace(at: folder + "/a/b/c")
      #expect(free > 0)
      let tooLong = folder + "/" + String(repeating: "x", count: 300)
      #expect(throws: PlatformError.self) { try freeSpace(at: tooLong) }
    }
  }
}
