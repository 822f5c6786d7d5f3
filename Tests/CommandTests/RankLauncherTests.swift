import Foundation
import Platform
import TestSupport
import Testing

@testable import chexnet

/// `--ranks`, on the real executable and the launchers of this machine.
@Suite(.serialized, .enabled(if: !MPI.installed.isEmpty, MPI.reason)) struct RankLauncherTests {
  @Test(arguments: MPI.installed) func `a rank that is killed is named with its signal and step`(mpi: MPI) throws {
    try inTemporaryFolder { folder in
      let run = try RankRun.startLauncher(mpi, folder + "/run")
      let process = try #require(run.process(ofRank: 1))
      kill(process, SIGKILL)
      let output = try run.end(within: 10)
      #expect(output.status == 11, "\(output.err)")
      #expect(
        output.err.contains(
          "error: rank 1 on \(ProcessInfo.processInfo.hostName) (process \(process)) was ended by signal 9, Killed (epoch "
        ), "\(output.err)"
      )
      // The launcher's own words are one line of ours.
      #expect(!output.err.contains("-----") && !output.out.contains("====="), "\(output.err)\n\(output.out)")
      try run.expectGoesOn(saying: "without a word")
    }
  }

  @Test(arguments: MPI.installed) func `a rank that stops is named by the others`(mpi: MPI) throws {
    try inTemporaryFolder { folder in
      let run = try RankRun.startLauncher(mpi, folder + "/run")
      try run.send(SIGSTOP, toRank: 1)
      let output = try run.end(within: RankRun.timeout + 5)
      #expect(output.status == 11, "\(output.err)")
      #expect(output.err.contains("rank 1 on "), "\(output.err)")
    }
  }

  @Test(arguments: MPI.installed) func `a rank that does not join ends all`(mpi: MPI) throws {
    try inTemporaryFolder { folder in
      let run = try RankRun.startLauncher(mpi, folder + "/run", isOnItsWay: false)
      try run.send(SIGSTOP, toRank: 1)
      let output = try run.end(within: RankRun.timeout + 5)
      #expect(output.status == 11, "\(output.err)")
      #expect(output.err.contains("rank 1 on ") || output.err.contains("not all 2 processes joined"), "\(output.err)")
    }
  }

  @Test(arguments: MPI.installed, [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2])
  func `each signal saves, and the same command goes on`(mpi: MPI, signal: Int32) throws {
    try inTemporaryFolder { folder in
      let run = try RankRun.startLauncher(mpi, folder + "/run")
      kill(run.running.process.processIdentifier, signal)
      let output = try run.end(within: 20)
      #expect(output.status == (signal == SIGINT ? 130 : 75), "\(output.err)")
      #expect(output.err.components(separatedBy: "error: interrupted").count == 2, "\(output.err)")
      #expect(!output.err.contains("-----"), "\(output.err)")
      try run.expectGoesOn()
    }
  }

  @Test(arguments: MPI.installed) func `a second signal ends all at once`(mpi: MPI) throws {
    try inTemporaryFolder { folder in
      let run = try RankRun.startLauncher(mpi, folder + "/run")
      // Nobody comes to the step at which they would stop.
      try run.send(SIGSTOP, toRank: 1)
      for _ in 0..<2 {
        kill(run.running.process.processIdentifier, SIGTERM)
        usleep(200_000)
      }
      #expect(try run.end(within: 5).status == 128 + SIGTERM)
    }
  }

  @Test(arguments: MPI.installed) func `results are those of one process, and errors keep their status`(mpi: MPI) throws
  {
    try inTemporaryFolder { folder in
      let environment = MPI.asRoot.merging(["CHEXNET_MPIRUN": mpi.launcher]) { $1 }
      let checkpoint = try importedCheckpoint(folder)
      let arguments = [
        "evaluate", checkpoint, "--data", SmallDemo.folder, "--test", SmallDemo.folder + "/test_list.txt", "--json",
      ]
      let one = try Executable.run(arguments)
      let many = try Executable.run(arguments + ["--ranks", "2"], environment: environment)
      #expect(many.status == 0 && many.out == one.out, "\(many.err)")
      let none = try Executable.run(
        RankRun.finetune(folder + "/run", epochs: 1) + ["--ranks=2", "--train", folder + "/none"],
        environment: environment)
      #expect(none.status == 66 && none.err.components(separatedBy: "error: ").count == 2, "\(none.err)")
    }
  }
}

/// What `--ranks` refuses without starting anything.
@Suite struct RankLauncherRefusalTests {
  private let arguments = ["evaluate", "a.safetensors", "--data", "x", "--test", "y", "--ranks", "2"]

  @Test(arguments: [
    (["PATH": "/nowhere"], 69, "needs an mpirun, and there is none on the PATH"),
    (["CHEXNET_MPIRUN": "/nowhere/mpirun"], 69, "CHEXNET_MPIRUN names /nowhere/mpirun"),
    (["OMPI_COMM_WORLD_SIZE": "2"], 64, "leave --ranks out"),
  ])
  func `no launcher, or two, is refused`(environment: [String: String], status: Int, says: String) throws {
    let output = try Executable.run(arguments, environment: environment)
    #expect(output.status == status)
    #expect(output.err.contains(says), "\(output.err)")
  }

  /// An older MPICH names no process.
  @Test func `a launcher that fails in words of its own is heard`() throws {
    try inTemporaryFolder { folder in
      let ruler = String(repeating: "=", count: 80)
      let script = "#!/bin/sh\ncat <<END\n\(ruler)\n=   BAD TERMINATION\n=   EXIT CODE: 9\n\(ruler)\nEND\nexit 9\n"
      try AtomicFile.write(script, to: folder + "/mpirun", overwriting: false)
      chmod(folder + "/mpirun", 0o755)
      let output = try Executable.run(arguments, environment: ["CHEXNET_MPIRUN": folder + "/mpirun"])
      #expect(output.status == 69)
      #expect(output.err.contains("EXIT CODE: 9") && output.err.contains("mpirun ended with status 9"), "\(output.err)")
    }
  }

  @Test func `a number of ranks that is none is a usage error`() throws {
    for number in ["0", "-1", "x", "5000"] {
      #expect(try Executable.run(arguments.dropLast() + [number]).status == 64)
    }
  }
}

/// The words of launchers: as those of this machine have said them, and of Open MPI 5 (PRRTE) as its users report them.
@Suite struct LauncherTextTests {
  private static let openMPI4 = """
    --------------------------------------------------------------------------
    mpirun.openmpi noticed that process rank 1 with PID 0 on node node07 exited on signal 9 (Killed).
    --------------------------------------------------------------------------

    """
  private static let openMPI5 = """
    --------------------------------------------------------------------------
    prterun noticed that process rank 3 with PID 3211 on node node07 exited on
    signal 11 (Segmentation fault).
    --------------------------------------------------------------------------

    """
  private static let mpich = """

    ===================================================================================
    =   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES
    =   PID 17761 RUNNING AT vm
    =   EXIT CODE: 9
    =   CLEANING UP REMAINING PROCESSES
    =   YOU CAN IGNORE THE BELOW CLEANUP MESSAGES
    ===================================================================================
    YOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed (signal 9)
    This typically refers to a problem with your application.
    Please see the FAQ page for debugging suggestions

    """

  /// What is printed of `text` that comes in pieces of `size` bytes, and who was lost.
  private func take(_ text: String, size: Int) -> (String, LauncherText.Lost?) {
    let bytes = Array(text.utf8)
    var (launcher, printed) = (LauncherText(), [UInt8]())
    for start in stride(from: 0, to: bytes.count, by: size) {
      printed += launcher.take(Array(bytes[start..<min(start + size, bytes.count)]))
    }
    return (String(decoding: printed + launcher.end(), as: UTF8.self), launcher.lost)
  }

  @Test(arguments: [
    (openMPI4, LauncherText.Lost(rank: 1, process: nil, signal: 9)),
    (openMPI5, LauncherText.Lost(rank: 3, process: 3211, signal: 11)),
    (mpich, LauncherText.Lost(rank: nil, process: 17761, signal: 9)),
  ])
  func `who was lost is understood, and kept back, however the bytes come`(text: String, lost: LauncherText.Lost) {
    let before = "epoch 1/2  AUROC 0.5\n", behind = "error: of a rank\n"
    for size in [1, 2, 7, 100, 10_000] {
      let (printed, found) = take(before + text + behind, size: size)
      #expect(found == lost)
      #expect(printed.replacingOccurrences(of: "\n\n", with: "\n") == before + behind)
    }
  }

  @Test func `everything else is passed on, live lines at once`() {
    let ruler = String(repeating: "-", count: 74) + "\n"
    let other =
      ruler + "mpirun has detected an attempt to run as root.\n" + ruler + "| --- | --- |\n" + ruler + "no end"
    for size in [1, 5, 1000] {
      #expect(take(other, size: size).0 == other)
      #expect(take(other, size: size).1 == nil)
    }
    var text = LauncherText()
    #expect(text.take(Array("\r[==  ] 3/10".utf8)) == Array("\r[==  ] 3/10".utf8))
  }
}
