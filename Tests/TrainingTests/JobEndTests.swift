import Foundation
import Testing

@testable import Training

@Suite struct JobEndTests {
  private func isNear(_ end: JobEnd, secondsBefore: Double) -> Bool {
    end.isNear(now: Date(timeIntervalSince1970: end.time - secondsBefore))
  }

  @Test func `a run stops a minute before its job ends, or sooner where two saves and a step take longer`() {
    var end = JobEnd(time: 2e9)
    #expect(!isNear(end, secondsBefore: 0))
    end.stepped(in: .seconds(3))
    #expect(isNear(end, secondsBefore: 60))
    #expect(!isNear(end, secondsBefore: 61))
    end.saved(in: .seconds(40))
    end.stepped(in: .seconds(7))
    end.stepped(in: .seconds(2))
    end.saved(in: .seconds(1))
    #expect(isNear(end, secondsBefore: 87))
    #expect(!isNear(end, secondsBefore: 88))
  }

  @Test func `what Slurm says is read, and told`() throws {
    let now = Date(timeIntervalSince1970: 1_800_000_000)
    #expect(JobEnd.told(by: [:], now: now).end == nil)
    #expect(JobEnd.told(by: [:], now: now).note == nil)
    let (end, note) = JobEnd.told(by: ["SLURM_JOB_END_TIME": "1800003600"], now: now)
    #expect(end?.time == 1_800_003_600)
    #expect(
      note
        == "the job ends at 2027-01-15T09:00:00Z (SLURM_JOB_END_TIME): the run goes on until 2027-01-15T08:59:00Z at the "
        + "latest, saves and exits")
  }
}
