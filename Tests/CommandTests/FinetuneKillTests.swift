import Foundation
import Platform
import TestSupport
import Testing

/// Runs of a few seconds that are ended at random moments and gone on with. The moments are those of the machine's clock: the seed draws
/// them, and the processes' own pace does the rest. `Tools/soak/finetune.sh` does it hundreds of times.
@Suite(.serialized) struct FinetuneKillTests {
  private static let environment = ProcessInfo.processInfo.environment
  /// How many times a run is killed, and how many times it is interrupted.
  private static let kills = environment["CHEXNET_SOAK_KILLS"].flatMap { Int($0) } ?? 20
  private static let interruptions = environment["CHEXNET_SOAK_INTERRUPTIONS"].flatMap { Int($0) } ?? 25
  private static let seed = environment["CHEXNET_SOAK_SEED"].flatMap { UInt64($0) } ?? 1

  /// Everything that has a state of its own is on. Eighteen images are five steps an epoch.
  private func finetune(_ folder: String, _ run: String) -> [String] {
    SmallDemo.finetune(folder + "/" + run, epochs: 3) + [
      "--train", folder + "/few.txt", "--cache", folder + "/cache", "--batch-size", "2", "--gradient-accumulation", "2",
      "--schedule", "plateau",
      "--plateau-patience", "0", "--warmup-epochs", "2", "--freeze-epochs", "1", "--ema", "0.9", "--clip-norm", "1",
      "--stop-after-bad-epochs", "2", "--checkpoint-every", "3", "--loss", "weighted-bce", "--progress", "none",
    ]
  }

  /// A run that nobody stopped, and the seconds that it took.
  private func whole(_ folder: String) throws -> Double {
    let list = try String(contentsOfFile: SmallDemo.folder + "/train_list.txt", encoding: .utf8).split(separator: "\n")
    try AtomicFile.write(list.prefix(18).joined(separator: "\n") + "\n", to: folder + "/few.txt", overwriting: false)
    let began = Date()
    let output = try Executable.run(finetune(folder, "whole"))
    #expect(output.status == 0, "\(output.err)")
    return Date().timeIntervalSince(began)
  }

  @Test func `a run that is killed at any moment goes on to the same bytes`() throws {
    try inMemoryFolder { folder in
      let seconds = try whole(folder)
      var random = CounterRandom(seed: Self.seed, purpose: .shuffle)
      var (killed, runs) = (0, 0)
      while killed < Self.kills {
        runs += 1
        let name = "run-\(runs)"
        var killedHere = 0
        while true {
          let running = try Executable.start(finetune(folder, name))
          // The fifth time it may finish.
          if killedHere < 4, killed < Self.kills {
            usleep(UInt32(random.uniform(0, seconds) * 1e6))
            kill(running.process.processIdentifier, SIGKILL)
          }
          let output = try running.finish()
          if output.status == 0 { break }
          guard running.process.terminationReason == .uncaughtSignal, output.status == SIGKILL else {
            Issue.record("run \(runs), seed \(Self.seed), kill \(killedHere): \(output.status) \(output.err)")
            return
          }
          killedHere += 1
          killed += 1
        }
        try compareRuns(
          folder + "/" + name, with: folder + "/whole", "\(name) of seed \(Self.seed), killed \(killedHere) times")
      }
    }
  }

  @Test func `a run that a signal interrupts at any moment says so and goes on to the same bytes`() throws {
    try inMemoryFolder { folder in
      let seconds = try whole(folder)
      var random = CounterRandom(seed: Self.seed, purpose: .augmentation)
      for number in 0..<Self.interruptions {
        let signal = [SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP][number % 5]
        let run = "\(folder)/run-\(number)"
        let running = try Executable.start(finetune(folder, "run-\(number)"))
        // Before the folder is there the process may not be listening yet.
        let deadline = Date() + 60
        while !FileManager.default.fileExists(atPath: run), running.process.isRunning, Date() < deadline {
          usleep(1000)
        }
        usleep(UInt32(random.uniform(0, 0.9 * seconds) * 1e6))
        kill(running.process.processIdentifier, signal)
        // Every third time a second signal ends it at once, wherever it is.
        let isImpatient = number % 3 == 2
        if isImpatient {
          usleep(2000)
          kill(running.process.processIdentifier, signal)
        }
        let output = try running.finish()
        let what = "run \(number) of seed \(Self.seed), signal \(signal)"
        if running.process.terminationReason == .uncaughtSignal {
          #expect(isImpatient && output.status == signal, "\(what): \(output.status) \(output.err)")
        } else if output.status != 0 {
          // Behind the last step there is nothing left to stop.
          #expect(output.status == (signal == SIGINT ? 130 : 75), "\(what): \(output.status) \(output.err)")
          #expect(output.err.contains("interrupted by signal \(signal)"), "\(what): \(output.err)")
        }
        let rest = try Executable.run(finetune(folder, "run-\(number)"))
        #expect(rest.status == 0, "\(what): \(rest.err)")
        try compareRuns(run, with: folder + "/whole", what)
      }
    }
  }
}
