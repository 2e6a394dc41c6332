using Discobot.Infrastructure;
using Discobot.Infrastructure.Wire;
using Discobot.Tests.Fixtures;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.Allowlist;

/// <summary>The allowlist as the wire asks it, over rules of a test's.</summary>
internal static class PolicyOver
{
    public static AllowlistPolicy Rules(Live<AllowlistRules> live, LearnedTraffic? learned = null) =>
        new(live, new Approvals(new AllowlistOptions(), live, new FlowRecorder([]), TimeProvider.System, NullLogger<Approvals>.Instance), learned ?? new LearnedTraffic(), new BlockMetrics(TestMetrics.New()));
}
