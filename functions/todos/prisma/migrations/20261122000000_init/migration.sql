-- Titles are searched by trigrams. Prisma does not write this line itself.
CREATE EXTENSION IF NOT EXISTS "pg_trgm";

-- CreateTable
CREATE TABLE "Todo" (
    "id" UUID NOT NULL,
    "title" TEXT NOT NULL,
    "completed" BOOLEAN NOT NULL DEFAULT false,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Todo_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "Todo_createdAt_id_idx" ON "Todo"("createdAt", "id");

-- CreateIndex
CREATE INDEX "Todo_completed_createdAt_id_idx" ON "Todo"("completed", "createdAt", "id");

-- CreateIndex
CREATE INDEX "Todo_title_id_idx" ON "Todo"("title", "id");

-- CreateIndex
CREATE INDEX "Todo_title_trgm_idx" ON "Todo" USING GIN ("title" gin_trgm_ops);
