using Discobot.Features.Certificates;

namespace Discobot.Features.Api;

/// <summary><c>GET /ca.crl</c>: the list that leaf certificates name, for clients that insist on a check of revocation.</summary>
internal static class RevocationListEndpoint
{
    public static void MapRevocationList(this IEndpointRouteBuilder endpoints)
    {
        var list = endpoints.ServiceProvider.GetRequiredService<RevocationList>();
        RequestDelegate answer = context =>
        {
            context.Response.ContentType = RevocationList.ContentType;
            return context.Response.Body.WriteAsync(list.Encode(), context.RequestAborted).AsTask();
        };
        endpoints.MapGet(RevocationList.Path, answer);
    }
}
